/* The binary convolution: comparisons, XOR, and counts of bits. */
#include "raw_reader.h"

#include <string.h>

/* Bits that are 1. */
static long count_ones(const uint8_t *a, const uint8_t *b, size_t bytes) {
  long ones = 0;
  for (size_t k = 0; k < bytes; k += 8) {
    uint64_t x = 0, y = 0;
    size_t rest = bytes - k < 8 ? bytes - k : 8;
    memcpy(&x, a + k, rest);
    if (b) memcpy(&y, b + k, rest);
    x ^= y;
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    ones += (long)(x * 0x0101010101010101u >> 56);
  }
  return ones;
}

/* What belongs to one convolution. */
typedef struct {
  size_t terms, filters, channels, bytes, height, width, rows, columns;
  long kernel[2], stride[2], padding[2], dilation[2];
  const Array *scales;
  uint8_t *weights, *signs;
} Shape;

/* One bit a channel and place: 1 where the activation reaches its threshold. */
static void compare(const Shape *s, const float *x, const float *cut, size_t cuts,
                    float mean) {
  size_t places = s->height * s->width;
  memset(s->signs, 0, places * s->bytes);
  for (size_t c = 0; c < s->channels; c++) {
    float threshold = cut[cuts == 1 ? 0 : c];
    for (size_t p = 0; p < places; p++)
      if (x[c * places + p] - mean >= threshold)
        s->signs[p * s->bytes + c / 8] |= (uint8_t)(1 << c % 8);
  }
}

/* Sums of W * s and of W * 1 at one place; outside of the image there is nothing. */
static void sums(const Shape *s, size_t filter, long y, long x, long *products,
                 long *ones) {
  const uint8_t *w = s->weights + filter * (size_t)(s->kernel[0] * s->kernel[1]) * s->bytes;
  long inside = 0, different = 0, set = 0;
  for (long i = 0; i < s->kernel[0]; i++)
    for (long j = 0; j < s->kernel[1]; j++, w += s->bytes) {
      long row = y * s->stride[0] - s->padding[0] + i * s->dilation[0];
      long column = x * s->stride[1] - s->padding[1] + j * s->dilation[1];
      if (row < 0 || row >= (long)s->height || column < 0 || column >= (long)s->width)
        continue;
      size_t place = (size_t)row * s->width + (size_t)column;
      inside += (long)s->channels;
      different += count_ones(w, s->signs + place * s->bytes, s->bytes);
      set += count_ones(w, NULL, s->bytes);
    }
  *products = inside - 2 * different;
  *ones = 2 * set - inside;
}

static void add_step(const Shape *s, double low, double high, double *total) {
  double half = (high - low) / 2, middle = (high + low) / 2;
  for (size_t t = 0; t < s->terms; t++)
    for (size_t o = 0; o < s->filters; o++) {
      double scale = s->scales->values[t * s->filters + o];
      double *out = total + o * s->rows * s->columns;
      for (size_t y = 0; y < s->rows; y++)
        for (size_t x = 0; x < s->columns; x++, out++) {
          long products, ones;
          sums(s, t * s->filters + o, (long)y, (long)x, &products, &ones);
          *out += (half * (double)products + middle * (double)ones) * scale;
        }
    }
}

/* The weights without the bits that fill up their last byte. */
static void copy_weights(const Shape *s, const Array *bits) {
  if (bits->count) memcpy(s->weights, bits->bytes, bits->count);
  if (s->channels % 8)
    for (size_t k = s->bytes - 1; k < bits->count; k += s->bytes)
      s->weights[k] &= (uint8_t)((1 << s->channels % 8) - 1);
}

static float mean_of(const Value *x) {
  double sum = 0;
  for (size_t k = 0; k < x->count; k++) sum += x->values[k];
  return (float)(sum / (double)x->count);
}

void convolve_bits(const Step *step, Value *out) {
  const Value *x = step->input[0];
  const Array *bits = array_of(step, "bits", 5), *cuts = array_of(step, "thresholds", 2);
  const Json *levels = member(step->json, "levels", LIST);
  Shape s = {.terms = bits->shape[0], .filters = bits->shape[1], .bytes = bits->shape[4]};
  s.scales = array_of(step, "scales", 2);
  pair(step, "kernel", 1, s.kernel);
  pair(step, "stride", 1, s.stride);
  pair(step, "padding", 0, s.padding);
  pair(step, "dilation", 1, s.dilation);
  const Json *centred = member_or_null(step->json, "centred");
  s.channels = (size_t)whole(member(step->json, "in_channels", NUMBER), 1, 1 << 20);
  if (x->axes != 3 || x->shape[0] != s.channels || s.bytes != (s.channels + 7) / 8 ||
      (long)bits->shape[2] != s.kernel[0] || (long)bits->shape[3] != s.kernel[1] ||
      !bits->bytes || !cuts->values || !s.scales->values ||
      s.scales->shape[0] != s.terms || s.scales->shape[1] != s.filters ||
      levels->length != cuts->shape[0] ||
      (cuts->shape[1] != 1 && cuts->shape[1] != s.channels))
    fail("step %s: its bits, thresholds, scales and input do not fit together",
         step->where);
  s.height = x->shape[1], s.width = x->shape[2];
  long p[2] = {s.padding[0], s.padding[1]};
  s.rows = (size_t)positions(step, (long)s.height, p[0], p[0], s.kernel[0], s.stride[0],
                             s.dilation[0]);
  s.columns = (size_t)positions(step, (long)s.width, p[1], p[1], s.kernel[1],
                                s.stride[1], s.dilation[1]);
  check_shape(step, out, s.filters, s.rows, s.columns);
  s.weights = reserve(bits->count + 1, 1);
  s.signs = reserve(s.height * s.width * s.bytes + 1, 1);
  copy_weights(&s, bits);
  double *total = reserve(out->count + 1, sizeof *total);
  float mean = centred && centred->kind == TRUE_VALUE ? mean_of(x) : 0;
  for (size_t k = 0; k < levels->length; k++) {
    const Json *level = item(levels, k);
    const Json *low = item(level, 0), *high = item(level, 1);
    if (low->kind != NUMBER || high->kind != NUMBER)
      fail("step %s: a level is no number", step->where);
    compare(&s, x->values, cuts->values + k * cuts->shape[1], cuts->shape[1], mean);
    add_step(&s, low->number, high->number, total);
  }
  for (size_t k = 0; k < out->count; k++) out->values[k] = (float)total[k];
}

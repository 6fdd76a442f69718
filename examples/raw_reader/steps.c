/* All steps beside the binary convolution, in float32. */
#include "raw_reader.h"

#include <math.h>
#include <string.h>

const Array *array_of(const Step *step, const char *role, int axes) {
  const Json *names = member(step->json, "arrays", OBJECT);
  const Array *found = find_array(step->archive, member(names, role, TEXT)->text);
  if (!found || found->axes != axes)
    fail("step %s: its %s is not in the file, or has not %d axes", step->where, role, axes);
  return found;
}

const Array *floats(const Step *step, const char *role, int axes) {
  const Array *found = array_of(step, role, axes);
  if (!found->values) fail("step %s: its %s is not float32", step->where, role);
  return found;
}

void check_shape(const Step *step, const Value *out, size_t c, size_t h, size_t w) {
  if (out->axes != 3 || out->shape[0] != c || out->shape[1] != h || out->shape[2] != w)
    fail("step %s gives %zux%zux%zu, and the program says another shape", step->where, c,
         h, w);
}

void pair(const Step *step, const char *key, long low, long found[2]) {
  const Json *list = member(step->json, key, LIST);
  for (size_t k = 0; k < 2; k++) found[k] = whole(item(list, k), low, 1 << 20);
}

long positions(const Step *step, long size, long before, long after, long kernel,
               long stride, long dilation) {
  long room = size + before + after - dilation * (kernel - 1) - 1;
  if (room < 0) fail("step %s: its kernel is larger than its input", step->where);
  return room / stride + 1;
}

void need(const Step *step, int condition) {
  if (!condition) fail("step %s: its input, arrays and shape do not fit together", step->where);
}

/* One row of a filter's column added to a row of the output. */
static void add_row(float *out, long columns, const float *x, long width, float weight,
                    long shift, long stride) {
  long first = shift < 0 ? (-shift + stride - 1) / stride : 0;
  for (long c = first; c < columns && c * stride + shift < width; c++)
    out[c] += weight * x[c * stride + shift];
}

static void conv(const Step *step, Value *out) {
  const Value *x = step->input[0];
  const Array *weight = floats(step, "weight", 4), *bias = floats(step, "bias", 1);
  const Json *given = member_or_null(step->json, "groups");
  size_t groups = given ? (size_t)whole(given, 1, 1 << 20) : 1;
  size_t o = weight->shape[0], i = weight->shape[1];
  long kh = (long)weight->shape[2], kw = (long)weight->shape[3], s[2], p[2], d[2];
  pair(step, "stride", 1, s), pair(step, "padding", 0, p), pair(step, "dilation", 1, d);
  need(step, x->axes == 3 && kh > 0 && kw > 0 && kh <= 1 << 20 && kw <= 1 << 20);
  need(step, x->shape[0] == i * groups && o % groups == 0 && bias->count == o);
  long h = (long)x->shape[1], w = (long)x->shape[2];
  long rows = positions(step, h, p[0], p[0], kh, s[0], d[0]);
  long columns = positions(step, w, p[1], p[1], kw, s[1], d[1]);
  check_shape(step, out, o, (size_t)rows, (size_t)columns);
  const float *value = weight->values;
  for (size_t f = 0; f < o; f++) {
    float *plane = out->values + f * (size_t)(rows * columns);
    const float *under = x->values + f / (o / groups) * i * (size_t)(h * w);
    for (size_t c = 0; c < i; c++, under += h * w)
      for (long a = 0; a < kh; a++)
        for (long b = 0; b < kw; b++, value++)
          for (long y = 0; y < rows; y++) {
            long row = y * s[0] - p[0] + a * d[0];
            if (row >= 0 && row < h)
              add_row(plane + y * columns, columns, under + row * w, w, *value,
                      b * d[1] - p[1], s[1]);
          }
    for (long k = 0; k < rows * columns; k++) plane[k] += bias->values[f];
  }
}

static void linear(const Step *step, Value *out) {
  const Value *x = step->input[0];
  const Array *weight = floats(step, "weight", 2), *bias = floats(step, "bias", 1);
  need(step, x->axes == 1 && weight->shape[1] == x->count && out->axes == 1);
  need(step, weight->shape[0] == out->count && bias->count == out->count);
  for (size_t o = 0; o < out->count; o++) {
    for (size_t k = 0; k < x->count; k++)
      out->values[o] += weight->values[o * x->count + k] * x->values[k];
    out->values[o] += bias->values[o];
  }
}

static void same_shape(const Step *step, const Value *out) {
  const Value *x = step->input[0];
  need(step, x->axes == out->axes);
  need(step, !memcmp(x->shape, out->shape, (size_t)x->axes * sizeof *x->shape));
}

/* An array of one number, or of one a channel. */
static const Array *by_channel(const Step *step, const char *role, const Value *out) {
  const Array *found = floats(step, role, 1);
  need(step, found->count == 1 || (out->axes && found->count == out->shape[0]));
  return found;
}

static float channel_value(const Array *array, const Value *out, size_t place) {
  return array->values[array->count == 1 ? 0 : place / (out->count / out->shape[0])];
}

static void affine(const Step *step, Value *out) {
  same_shape(step, out);
  const Array *scale = by_channel(step, "scale", out), *shift = by_channel(step, "shift", out);
  for (size_t k = 0; k < out->count; k++)
    out->values[k] = step->input[0]->values[k] * channel_value(scale, out, k) +
                     channel_value(shift, out, k);
}

static void prelu(const Step *step, Value *out) {
  same_shape(step, out);
  const Array *slope = by_channel(step, "slope", out);
  for (size_t k = 0; k < out->count; k++) {
    float x = step->input[0]->values[k];
    out->values[k] = x > 0 ? x : x * channel_value(slope, out, k);
  }
}

static float limit(const Step *step, const char *key, float none) {
  const Json *found = member_or_null(step->json, key);
  return found && found->kind == NUMBER ? (float)found->number : none;
}

static void pointwise(const Step *step, Value *out) {
  same_shape(step, out);
  const float *x = step->input[0]->values;
  float low = limit(step, "low", -INFINITY), high = limit(step, "high", INFINITY);
  for (size_t k = 0; k < out->count; k++)
    switch (step->op[0]) {
      case 'r': out->values[k] = x[k] < 0 ? 0 : x[k]; break;
      case 'e': out->values[k] = expf(x[k]); break;
      case 'a': out->values[k] = fabsf(x[k]); break;
      default: out->values[k] = x[k] < low ? low : x[k] > high ? high : x[k];
    }
}

/* The place in an input, whose axes of size 1 are repeated, of a place of the output. */
static size_t place_in(const Value *x, const Value *out, size_t place) {
  size_t found = 0, step = 1;
  for (int k = out->axes - 1; k >= 0; k--) {
    if (x->shape[k] != 1) found += place % out->shape[k] * step;
    place /= out->shape[k];
    step *= x->shape[k];
  }
  return found;
}

static void check_repeated(const Step *step, const Value *x, const Value *out) {
  need(step, x->axes == out->axes);
  for (int k = 0; k < x->axes; k++)
    need(step, x->shape[k] == 1 || x->shape[k] == out->shape[k]);
}

static void repeat(const Step *step, Value *out) {
  const Value *x = step->input[0];
  check_repeated(step, x, out);
  for (size_t k = 0; k < out->count; k++) out->values[k] = x->values[place_in(x, out, k)];
}

static void arithmetic(const Step *step, Value *out) {
  const Value *x = step->input[0], *y = step->input[1];
  check_repeated(step, x, out), check_repeated(step, y, out);
  for (size_t k = 0; k < out->count; k++) {
    float a = x->values[place_in(x, out, k)], b = y->values[place_in(y, out, k)];
    switch (step->op[0]) {
      case 'a': out->values[k] = a + b; break;
      case 's': out->values[k] = a - b; break;
      case 'm': out->values[k] = a * b; break;
      default: out->values[k] = a / b;
    }
  }
}

static void pool(const Step *step, Value *out) {
  const Value *x = step->input[0];
  long n[2], s[2], d[2], begin[2], end[2];
  pair(step, "kernel", 1, n), pair(step, "stride", 1, s), pair(step, "dilation", 1, d);
  pair(step, "begin", 0, begin), pair(step, "end", 0, end);
  need(step, x->axes == 3);
  long h = (long)x->shape[1], w = (long)x->shape[2], largest = step->op[0] == 'm';
  long rows = positions(step, h, begin[0], end[0], n[0], s[0], d[0]);
  long columns = positions(step, w, begin[1], end[1], n[1], s[1], d[1]);
  check_shape(step, out, x->shape[0], (size_t)rows, (size_t)columns);
  float *value = out->values;
  for (size_t c = 0; c < x->shape[0]; c++)
    for (long y = 0; y < rows; y++)
      for (long z = 0; z < columns; z++, value++) {
        float found = largest ? -INFINITY : 0;
        long inside = 0;
        for (long a = 0; a < n[0]; a++)
          for (long b = 0; b < n[1]; b++) {
            long row = y * s[0] - begin[0] + a * d[0];
            long column = z * s[1] - begin[1] + b * d[1];
            if (row < 0 || row >= h || column < 0 || column >= w) continue;
            float here = x->values[((long)c * h + row) * w + column];
            found = !largest ? found + here : here > found ? here : found;
            inside++;
          }
        *value = largest ? found : found / (float)inside;
      }
}

/* The input with one place on each axis of the step. */
static Value kept_axes(const Step *step, const Value *out) {
  const Value *x = step->input[0];
  const Json *axes = member(step->json, "axes", LIST);
  Value kept = *x;
  kept.count = 1;
  for (const Json *axis = axes->first; axis; axis = axis->next)
    kept.shape[whole(axis, 0, x->axes - 1)] = 1;
  for (int k = 0; k < kept.axes; k++) kept.count *= kept.shape[k];
  need(step, kept.count == out->count && x->count > 0);
  return kept;
}

static void mean(const Step *step, Value *out) {
  const Value *x = step->input[0];
  Value kept = kept_axes(step, out);
  double *sum = reserve(out->count + 1, sizeof *sum);
  for (size_t k = 0; k < x->count; k++) sum[place_in(&kept, x, k)] += x->values[k];
  for (size_t k = 0; k < out->count; k++)
    out->values[k] = (float)(sum[k] * (double)out->count / (double)x->count);
}

static void norm(const Step *step, Value *out) {
  const Value *x = step->input[0];
  Value kept = kept_axes(step, out);
  double *sum = reserve(out->count + 1, sizeof *sum);
  for (size_t k = 0; k < x->count; k++)
    sum[place_in(&kept, x, k)] += (double)x->values[k] * x->values[k];
  for (size_t k = 0; k < out->count; k++) out->values[k] = (float)sqrt(sum[k]);
}

static const struct {
  const char *op;
  size_t inputs; /* MOST_VALUES: any number */
  void (*run)(const Step *, Value *);
} OPERATIONS[] = {
    {"binary_conv", 1, convolve_bits}, {"conv", 1, conv}, {"linear", 1, linear},
    {"affine", 1, affine}, {"prelu", 1, prelu}, {"relu", 1, pointwise},
    {"exp", 1, pointwise}, {"absolute", 1, pointwise}, {"clip", 1, pointwise},
    {"add", 2, arithmetic}, {"subtract", 2, arithmetic}, {"multiply", 2, arithmetic},
    {"divide", 2, arithmetic}, {"max_pool", 1, pool}, {"avg_pool", 1, pool},
    {"mean", 1, mean}, {"norm", 1, norm}, {"resize", 1, resize},
    {"concat", MOST_VALUES, concat}, {"slice", 1, take},
    {"pad", 1, pad}, {"reshape", 1, reshape}, {"broadcast", 1, repeat},
    {"constant", 0, constant},
};

void run_step(const Step *step, Value *out) {
  for (size_t k = 0; k < sizeof OPERATIONS / sizeof *OPERATIONS; k++)
    if (!strcmp(OPERATIONS[k].op, step->op)) {
      if (OPERATIONS[k].inputs != MOST_VALUES && OPERATIONS[k].inputs != step->inputs)
        fail("step %s: %s reads another number of values", step->where, step->op);
      OPERATIONS[k].run(step, out);
      return;
    }
  fail("step %s: the operation %s is unknown to this reader", step->where, step->op);
}

/* Bilinear resizing: pixels are squares, and maps end half a pixel behind a centre. */
#include "raw_reader.h"

/* The pixel at or in front of the centre of a wanted one, the next, and its part. */
typedef struct {
  size_t low, high;
  double part;
} Between;

static Between between(size_t place, size_t wanted, size_t size) {
  double at = ((double)place + 0.5) * (double)size / (double)wanted - 0.5;
  double last = (double)size - 1;
  at = at < 0 ? 0 : at > last ? last : at;
  Between found = {(size_t)at, (size_t)at + (at < last), 0};
  found.part = at - (double)found.low;
  return found;
}

static double mixed(const float *line, Between x) {
  return line[x.low] * (1 - x.part) + line[x.high] * x.part;
}

void resize(const Step *step, Value *out) {
  const Value *x = step->input[0];
  need(step, x->axes == 3 && out->axes == 3 && x->shape[0] == out->shape[0]);
  need(step, x->count > 0);
  size_t height = x->shape[1], width = x->shape[2];
  float *value = out->values;
  for (size_t c = 0; c < out->shape[0]; c++)
    for (size_t r = 0; r < out->shape[1]; r++) {
      Between row = between(r, out->shape[1], height);
      const float *plane = x->values + c * height * width;
      for (size_t k = 0; k < out->shape[2]; k++) {
        Between column = between(k, out->shape[2], width);
        *value++ = (float)(mixed(plane + row.low * width, column) * (1 - row.part) +
                           mixed(plane + row.high * width, column) * row.part);
      }
    }
}

/* Steps that move numbers about and change none. */
#include "raw_reader.h"

#include <string.h>

static long option(const Step *step, const char *key, long low, long high) {
  return whole(member(step->json, key, NUMBER), low, high);
}

/* Copy between an array and a part of a larger one: both in steps along an axis. */
static void copy_part(const Value *large, const Value *small, int axis, size_t start,
                      size_t step, int into) {
  size_t inner = 1, outer = 1;
  for (int k = 0; k < axis; k++) outer *= small->shape[k];
  for (int k = axis + 1; k < small->axes; k++) inner *= small->shape[k];
  for (size_t a = 0; a < outer; a++)
    for (size_t b = 0; b < small->shape[axis]; b++) {
      float *one = large->values + (a * large->shape[axis] + start + b * step) * inner;
      float *other = small->values + (a * small->shape[axis] + b) * inner;
      if (inner) memcpy(into ? one : other, into ? other : one, inner * sizeof(float));
    }
}

void concat(const Step *step, Value *out) {
  need(step, out->axes > 0);
  int axis = (int)option(step, "axis", 0, out->axes - 1);
  size_t start = 0;
  for (size_t k = 0; k < step->inputs; k++) {
    const Value *x = step->input[k];
    need(step, x->axes == out->axes && start + x->shape[axis] <= out->shape[axis]);
    for (int a = 0; a < x->axes; a++) need(step, a == axis || x->shape[a] == out->shape[a]);
    copy_part(out, x, axis, start, 1, 1);
    start += x->shape[axis];
  }
  need(step, start == out->shape[axis]);
}

void take(const Step *step, Value *out) {
  const Value *x = step->input[0];
  need(step, x->axes > 0 && x->axes == out->axes);
  int axis = (int)option(step, "axis", 0, x->axes - 1);
  long size = (long)x->shape[axis];
  long start = option(step, "start", 0, size), stop = option(step, "stop", 0, size);
  long by = option(step, "step", 1, 1 << 28);
  long count = stop > start ? (stop - start - 1) / by + 1 : 0;
  for (int a = 0; a < x->axes; a++)
    need(step, out->shape[a] == (a == axis ? (size_t)count : x->shape[a]));
  copy_part(x, out, axis, (size_t)start, (size_t)by, 0);
}

void pad(const Step *step, Value *out) {
  const Value *x = step->input[0];
  const Json *widths = member(step->json, "widths", LIST);
  float value = (float)member(step->json, "value", NUMBER)->number;
  size_t before[MOST_AXES];
  need(step, x->axes == out->axes && widths->length == (size_t)x->axes);
  for (int k = 0; k < x->axes; k++) {
    const Json *width = item(widths, (size_t)k);
    before[k] = (size_t)whole(item(width, 0), 0, 1 << 20);
    size_t after = (size_t)whole(item(width, 1), 0, 1 << 20);
    need(step, out->shape[k] == before[k] + x->shape[k] + after);
  }
  for (size_t k = 0; k < out->count; k++) out->values[k] = value;
  for (size_t k = 0; k < x->count; k++) {
    size_t rest = k, place = 0, size = 1;
    for (int a = x->axes - 1; a >= 0; a--) {
      place += (rest % x->shape[a] + before[a]) * size;
      rest /= x->shape[a];
      size *= out->shape[a];
    }
    out->values[place] = x->values[k];
  }
}

void reshape(const Step *step, Value *out) {
  need(step, step->input[0]->count == out->count);
  if (out->count) memcpy(out->values, step->input[0]->values, out->count * sizeof(float));
}

void constant(const Step *step, Value *out) {
  const Array *value = floats(step, "value", out->axes);
  need(step, !memcmp(value->shape, out->shape, (size_t)out->axes * sizeof *out->shape));
  if (out->count) memcpy(out->values, value->values, out->count * sizeof(float));
}

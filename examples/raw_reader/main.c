/* Runs a raw network file on a sample: see README.md. */
#include "raw_reader.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((size_t)1 << 33)

static struct Block {
  struct Block *next;
  size_t unused;
} *blocks;
static size_t reserved;
static Value *values; /* What the steps have made so far. */
static size_t made;

void fail(const char *format, ...) {
  char text[4096];
  va_list words;
  va_start(words, format);
  if (vsnprintf(text, sizeof text, format, words) < 0) text[0] = 0;
  va_end(words);
  /* Names come from the file, and may be anything: they end no line. */
  for (char *at = text; *at; at++)
    if ((*at > 0 && *at < ' ') || *at == 127) *at = '?';
  fprintf(stderr, "error: %s\n", text);
  exit(2);
}

void *reserve(size_t count, size_t size) {
  if (count > (MOST_BYTES - reserved) / size)
    fail("the network needs more memory than %zu bytes", MOST_BYTES);
  struct Block *block = calloc(1, sizeof *block + count * size);
  if (!block) fail("there is no memory for %zu bytes", count * size);
  reserved += count * size;
  block->next = blocks;
  blocks = block;
  return block + 1;
}

static void set_shape(const Json *shape, Value *value) {
  value->count = 1;
  if (shape->length < 1 || shape->length > MOST_AXES)
    fail("the program is damaged: a shape of %zu axes", shape->length);
  for (const Json *axis = shape->first; axis; axis = axis->next) {
    size_t size = (size_t)whole(axis, 1, 1 << 24);
    if (value->count > MOST_VALUES / size) fail("the program is damaged: a shape too large");
    value->shape[value->axes++] = size;
    value->count *= size;
  }
  value->values = reserve(value->count, sizeof(float));
}

static Value *find_value(const char *name) {
  for (size_t k = made; k > 0; k--)
    if (!strcmp(values[k - 1].name, name)) return &values[k - 1];
  fail("the program is damaged: nothing has made %s", name);
  return NULL;
}

/* uint8 (H, W, C) to normalised float32 (C, H, W). */
static void read_image(const Json *input, const Archive *sample, Value *image) {
  const Array *pixels = find_array(sample, "image");
  const Json *mean = member(input, "mean", LIST), *std = member(input, "std", LIST);
  image->name = member(input, "name", TEXT)->text;
  set_shape(member(input, "shape", LIST), image);
  const size_t *shape = image->shape;
  if (image->axes != 3 || !pixels || !pixels->bytes || pixels->axes != 3 ||
      pixels->shape[0] != shape[1] || pixels->shape[1] != shape[2] ||
      pixels->shape[2] != shape[0])
    fail("%s has no array 'image' of uint8 that is as large as the network's input",
         sample->path);
  for (size_t c = 0; c < shape[0]; c++)
    for (size_t k = 0; k < shape[1] * shape[2]; k++)
      image->values[c * shape[1] * shape[2] + k] =
          ((float)pixels->bytes[k * shape[0] + c] - (float)item(mean, c)->number) /
          (float)item(std, c)->number;
}

static void run(const Archive *model, const Json *steps) {
  for (const Json *json = steps->first; json; json = json->next) {
    Value *out = &values[made];
    const Json *inputs = member(json, "inputs", LIST);
    Step step = {.json = json, .archive = model, .inputs = inputs->length};
    step.op = member(json, "op", TEXT)->text;
    step.where = out->name = member(json, "output", TEXT)->text;
    step.input = reserve(inputs->length + 1, sizeof *step.input);
    for (size_t k = 0; k < inputs->length; k++) {
      const Json *name = item(inputs, k);
      if (name->kind != TEXT) fail("step %s: an input has no name", step.where);
      step.input[k] = find_value(name->text);
    }
    set_shape(member(json, "shape", LIST), out);
    run_step(&step, out);
    made++;
  }
}

/* The largest difference from what torch has made, and places of the same class. */
static void compare(const Value *out, const Array *wanted) {
  size_t places = out->count / out->shape[0], alike = 0;
  double difference = 0, largest = 0;
  if (!wanted->values || wanted->count != out->count)
    fail("the sample's %s has another shape than the network's output", wanted->name);
  for (size_t k = 0; k < out->count; k++) {
    double d = fabs((double)out->values[k] - wanted->values[k]);
    /* NaN differs from everything, and stays. */
    if (!(d <= difference) && !isnan(difference)) difference = d;
    largest = fmax(largest, fabs(wanted->values[k]));
  }
  for (size_t p = 0; p < places; p++) {
    size_t ours = 0, theirs = 0;
    for (size_t c = 1; c < out->shape[0]; c++) {
      if (out->values[c * places + p] > out->values[ours * places + p]) ours = c;
      if (wanted->values[c * places + p] > wanted->values[theirs * places + p]) theirs = c;
    }
    alike += ours == theirs;
  }
  printf("  against %s: largest difference %.3g of values up to %.3g", wanted->name,
         difference, largest);
  /* One channel is a value, such as depth, and has no class. */
  if (out->shape[0] > 1)
    printf(", class of %.2f %% alike", 100.0 * (double)alike / (double)places);
  printf("\n");
  if (isnan(difference)) fail("%s: one side is not a number", wanted->name);
}

static void report(const Json *outputs, const Archive *sample, const char *prefix) {
  size_t place = 0, next = 0;
  for (const Json *name = outputs->first; name; name = name->next, place++) {
    if (name->kind != TEXT) fail("the program is damaged: an output has no name");
    const Value *out = find_value(name->text);
    printf("output %zu:", place);
    for (int k = 0; k < out->axes; k++) printf("%s%zu", k ? "x" : " ", out->shape[k]);
    printf("\n");
    while (next < sample->count && strncmp(sample->arrays[next].name, "output", 6)) next++;
    if (next < sample->count) compare(out, &sample->arrays[next++]);
    if (prefix) {
      char path[4096];
      if (snprintf(path, sizeof path, "%s%zu.npy", prefix, place) >= (int)sizeof path)
        fail("the name of the output is too long");
      write_npy(path, out->values, out->shape, out->axes);
    }
  }
}

int main(int count, char **words) {
  if (count < 3 || count > 4) fail("usage: raw_reader MODEL.npz SAMPLE.npz [OUTPUT]");
  Archive model = read_archive(words[1]), sample = read_archive(words[2]);
  const Array *text = find_array(&model, "program");
  if (!text || !text->bytes) fail("%s is no raw network: it has no program", words[1]);
  const Json *program = parse_json((const char *)text->bytes, text->count);
  if (strcmp(member(program, "format", TEXT)->text, "cmim-raw") ||
      member(program, "version", NUMBER)->number != 1)
    fail("%s is of a format or version that this reader does not know", words[1]);
  const Json *steps = member(program, "steps", LIST);
  values = reserve(steps->length + 1, sizeof *values);
  read_image(member(program, "input", OBJECT), &sample, &values[0]);
  made = 1;
  run(&model, steps);
  report(member(program, "outputs", LIST), &sample, count == 4 ? words[3] : NULL);
  return 0;
}

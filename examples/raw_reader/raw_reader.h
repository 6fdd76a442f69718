/* A reader of raw network files in C99: see docs/raw_format.md and README.md. */
#ifndef RAW_READER_H
#define RAW_READER_H

#include <stddef.h>
#include <stdint.h>

#define MOST_AXES 8
#define MOST_VALUES ((size_t)1 << 28) /* of one array: 1 GiB of float32 */

/* Print one sentence and end with status 2. */
void fail(const char *format, ...);
/* Memory of zeros, kept until the program ends. */
void *reserve(size_t count, size_t size);

/* An array of a file: float32 in `values`, uint8 in `bytes`. */
typedef struct {
  const char *name;
  int axes;
  size_t shape[MOST_AXES];
  size_t count;
  float *values;
  const uint8_t *bytes;
} Array;

typedef struct {
  const char *path;
  size_t count;
  Array *arrays;
} Archive;

Archive read_archive(const char *path);
/* The array of that name, or NULL. */
const Array *find_array(const Archive *archive, const char *name);
void write_npy(const char *path, const float *values, const size_t *shape, int axes);

/* A value of JSON. Lists and objects are chains of `first` and `next`. */
typedef struct Json {
  enum { NOTHING, TRUE_VALUE, FALSE_VALUE, NUMBER, TEXT, LIST, OBJECT } kind;
  double number;
  const char *key, *text;
  size_t length; /* of a list or an object */
  struct Json *first, *next;
} Json;

Json *parse_json(const char *text, size_t length);
/* A member of an object; fails where it is missing or of another kind. */
const Json *member(const Json *object, const char *key, int kind);
const Json *member_or_null(const Json *object, const char *key);
const Json *item(const Json *list, size_t place);
/* A whole number from low to high. */
long whole(const Json *value, long low, long high);

/* What a step makes: one image, without the axis of the images. */
typedef struct {
  const char *name;
  int axes;
  size_t shape[MOST_AXES];
  size_t count;
  float *values;
} Value;

/* A step with what it reads. */
typedef struct {
  const Json *json;
  const Archive *archive;
  const char *op, *where;
  size_t inputs;
  const Value **input;
} Step;

void run_step(const Step *step, Value *out);
/* Operations of other files than steps.c. */
void convolve_bits(const Step *step, Value *out);
void resize(const Step *step, Value *out);
void concat(const Step *step, Value *out);
void take(const Step *step, Value *out);
void pad(const Step *step, Value *out);
void reshape(const Step *step, Value *out);
void constant(const Step *step, Value *out);

/* An array of a step, by its role. */
const Array *array_of(const Step *step, const char *role, int axes);
const Array *floats(const Step *step, const char *role, int axes);
/* Fail unless what belongs to the step fits together. */
void need(const Step *step, int condition);
void check_shape(const Step *step, const Value *out, size_t c, size_t h, size_t w);
/* Two numbers of an option, each from low to 2^20. */
void pair(const Step *step, const char *key, long low, long found[2]);
long positions(const Step *step, long size, long before, long after, long kernel,
               long stride, long dilation);

#endif

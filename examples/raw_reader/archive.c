/* Reads .npz files whose members are stored as they are, and writes .npy files. */
#include "raw_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t number(const uint8_t *at, int bytes) {
  uint32_t value = 0;
  for (int k = 0; k < bytes; k++) value |= (uint32_t)at[k] << (8 * k);
  return value;
}

static uint32_t checksum(const uint8_t *data, size_t count) {
  uint32_t sum = 0xFFFFFFFFu;
  for (size_t k = 0; k < count; k++) {
    sum ^= data[k];
    for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (0xEDB88320u & -(sum & 1));
  }
  return ~sum;
}

static uint8_t *read_file(const char *path, size_t *count) {
  FILE *file = fopen(path, "rb");
  long length = -1;
  if (file && !fseek(file, 0, SEEK_END)) length = ftell(file);
  if (length < 0 || length > 0x7FFFFFFE || fseek(file, 0, SEEK_SET)) {
    if (file) fclose(file);
    fail("'%s' cannot be read", path);
  }
  uint8_t *data = reserve((size_t)length + 1, 1);
  *count = fread(data, 1, (size_t)length, file);
  fclose(file);
  if (*count != (size_t)length) fail("'%s' cannot be read to its end", path);
  return data;
}

/* The text of a header: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } */
static void read_header(const char *path, const char *text, Array *array, int *size) {
  const char *kind = strstr(text, "'descr': '"), *shape = strstr(text, "'shape': (");
  if (!kind || !shape || !strstr(text, "'fortran_order': False"))
    fail("%s: array %s has a header that is not known", path, array->name);
  *size = !strncmp(kind + 10, "<f4'", 4) ? 4 : !strncmp(kind + 10, "|u1'", 4) ? 1 : 0;
  if (!*size) fail("%s: array %s is neither float32 nor uint8", path, array->name);
  array->count = 1;
  const char *at = shape + 10;
  while (*at != ')') {
    char *end;
    unsigned long long length = strtoull(at, &end, 10);
    if (end == at || array->axes == MOST_AXES || length > MOST_VALUES ||
        (length && array->count > MOST_VALUES / length))
      fail("%s: array %s has a shape that cannot be", path, array->name);
    array->shape[array->axes++] = (size_t)length;
    array->count *= (size_t)length;
    at = end + strspn(end, ", ");
  }
}

static void read_npy(const char *path, const uint8_t *data, size_t count, Array *array) {
  if (count < 12 || memcmp(data, "\x93NUMPY", 6) || data[6] < 1 || data[6] > 3)
    fail("%s: member %s is no .npy file", path, array->name);
  size_t wide = data[6] == 1 ? 2 : 4, begin = 8 + wide;
  size_t length = number(data + 8, (int)wide);
  if (length > count - begin)
    fail("%s: array %s is cut within its header", path, array->name);
  char *text = reserve(length + 1, 1);
  memcpy(text, data + begin, length);
  int size = 0;
  read_header(path, text, array, &size);
  begin += length;
  if (count - begin != array->count * (size_t)size)
    fail("%s: array %s has %zu bytes of values, not the %zu of its shape", path,
         array->name, count - begin, array->count * (size_t)size);
  array->bytes = size == 1 ? data + begin : NULL;
  if (size == 1) return;
  array->values = reserve(array->count + 1, sizeof(float));
  if (array->count) memcpy(array->values, data + begin, 4 * array->count);
}

/* One entry of the directory; where the next one begins. */
static size_t read_entry(const char *path, const uint8_t *data, size_t count, size_t at,
                         Array *array) {
  if (count - at < 46 || memcmp(data + at, "PK\1\2", 4))
    fail("%s is damaged: its directory is cut", path);
  const uint8_t *entry = data + at;
  size_t name = number(entry + 28, 2), start = number(entry + 42, 4);
  size_t packed = number(entry + 20, 4), size = number(entry + 24, 4);
  size_t next = at + 46 + name + number(entry + 30, 2) + number(entry + 32, 2);
  if (next > count || name < 5) fail("%s is damaged: its directory is cut", path);
  char *text = reserve(name + 1, 1);
  memcpy(text, entry + 46, name);
  if (number(entry + 10, 2) || packed != size)
    fail("%s: member %s is compressed, and this reader takes stored ones; export the "
         "network again with this version", path, text);
  if (strcmp(text + name - 4, ".npy")) fail("%s: member %s is no array", path, text);
  text[name - 4] = 0;
  array->name = text;
  if (start > count || count - start < 30 || memcmp(data + start, "PK\3\4", 4))
    fail("%s is damaged: array %s is not where it should be", path, text);
  size_t begin = start + 30 + number(data + start + 26, 2) + number(data + start + 28, 2);
  if (begin > count || size > count - begin)
    fail("%s is damaged: array %s is cut", path, text);
  if (checksum(data + begin, size) != number(entry + 16, 4))
    fail("%s is damaged: array %s has another checksum", path, text);
  read_npy(path, data + begin, size, array);
  return next;
}

Archive read_archive(const char *path) {
  size_t count = 0;
  const uint8_t *data = read_file(path, &count);
  if (count < 22 || memcmp(data + count - 22, "PK\5\6", 4))
    fail("%s is cut or no .npz file", path);
  const uint8_t *end = data + count - 22;
  size_t entries = number(end + 10, 2), at = number(end + 16, 4);
  if (at > count) fail("%s is damaged: it has no directory", path);
  Archive archive = {path, entries, reserve(entries + 1, sizeof(Array))};
  for (size_t k = 0; k < entries; k++)
    at = read_entry(path, data, count, at, &archive.arrays[k]);
  return archive;
}

const Array *find_array(const Archive *archive, const char *name) {
  for (size_t k = 0; k < archive->count; k++)
    if (!strcmp(archive->arrays[k].name, name)) return &archive->arrays[k];
  return NULL;
}

void write_npy(const char *path, const float *values, const size_t *shape, int axes) {
  char text[256];
  int length = snprintf(text, sizeof text,
                        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, ");
  size_t count = 1;
  for (int k = 0; k < axes; k++) {
    length += snprintf(text + length, sizeof text - (size_t)length, "%zu, ", shape[k]);
    count *= shape[k];
  }
  length += snprintf(text + length, sizeof text - (size_t)length, "), }");
  while ((length + 11) % 64) text[length++] = ' ';
  text[length++] = '\n';
  uint8_t head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)length, 0};
  FILE *file = fopen(path, "wb");
  if (!file) fail("'%s' cannot be written", path);
  int whole_file = fwrite(head, 1, 10, file) == 10 &&
                   fwrite(text, 1, (size_t)length, file) == (size_t)length &&
                   fwrite(values, 4, count, file) == count;
  if (fclose(file) || !whole_file) fail("'%s' cannot be written to its end", path);
}

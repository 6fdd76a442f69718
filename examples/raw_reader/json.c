/* Reads JSON into a tree, up to 32 levels deep. */
#include "raw_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEEPEST 32

static Json *parse_value(const char **at, int depth);

static void skip(const char **at) { *at += strspn(*at, " \t\r\n"); }

static void expect(const char **at, const char *word) {
  if (strncmp(*at, word, strlen(word))) fail("the program is no JSON: %s expected", word);
  *at += strlen(word);
}

static const char *parse_text(const char **at) {
  expect(at, "\"");
  const char *begin = *at;
  while (**at != '"') {
    if (**at == '\\' && (*at)[1]) (*at)++;
    if (!**at) fail("the program is no JSON: a text has no end");
    (*at)++;
  }
  /* Names that are looked up have no escapes: others stay as they are written. */
  char *text = reserve((size_t)(*at - begin) + 1, 1);
  memcpy(text, begin, (size_t)(*at - begin));
  (*at)++;
  return text;
}

static void parse_parts(const char **at, Json *value, int depth) {
  char end = value->kind == OBJECT ? '}' : ']';
  Json **place = &value->first;
  (*at)++;
  for (skip(at); **at != end; skip(at)) {
    const char *key = NULL;
    if (value->length) expect(at, ","), skip(at);
    if (value->kind == OBJECT) {
      key = parse_text(at);
      skip(at);
      expect(at, ":");
    }
    *place = parse_value(at, depth + 1);
    (*place)->key = key;
    place = &(*place)->next;
    value->length++;
  }
  (*at)++;
}

static Json *parse_value(const char **at, int depth) {
  Json *value = reserve(1, sizeof *value);
  if (depth > DEEPEST) fail("the program is nested too deeply");
  skip(at);
  if (**at == '{' || **at == '[') {
    value->kind = **at == '{' ? OBJECT : LIST;
    parse_parts(at, value, depth);
  } else if (**at == '"') {
    value->kind = TEXT;
    value->text = parse_text(at);
  } else if (**at == 't' || **at == 'f') {
    value->kind = **at == 't' ? TRUE_VALUE : FALSE_VALUE;
    expect(at, **at == 't' ? "true" : "false");
  } else if (**at == 'n') {
    expect(at, "null");
  } else {
    char *end;
    value->kind = NUMBER;
    if (!strchr("-0123456789", **at) || !**at) fail("the program is no JSON");
    value->number = strtod(*at, &end);
    if (end == *at) fail("the program is no JSON");
    *at = end;
  }
  return value;
}

Json *parse_json(const char *text, size_t length) {
  char *copy = reserve(length + 1, 1);
  memcpy(copy, text, length);
  const char *at = copy;
  Json *value = parse_value(&at, 0);
  skip(&at);
  if (at != copy + length) fail("the program has something behind its end");
  return value;
}

const Json *member_or_null(const Json *object, const char *key) {
  if (object->kind != OBJECT) fail("the program is damaged: no object with '%s'", key);
  for (const Json *part = object->first; part; part = part->next)
    if (!strcmp(part->key, key)) return part;
  return NULL;
}

const Json *member(const Json *object, const char *key, int kind) {
  const Json *found = member_or_null(object, key);
  if (!found || (int)found->kind != kind)
    fail("the program is damaged: '%s' is missing or of another kind", key);
  return found;
}

const Json *item(const Json *list, size_t place) {
  if (list->kind != LIST || place >= list->length)
    fail("the program is damaged: a list is too short");
  const Json *part = list->first;
  while (place--) part = part->next;
  return part;
}

long whole(const Json *value, long low, long high) {
  if (value->kind != NUMBER || !(value->number >= (double)low) ||
      !(value->number <= (double)high) || value->number != (double)(long)value->number)
    fail("the program is damaged: a number that is not whole, or not from %ld to %ld",
         low, high);
  return (long)value->number;
}

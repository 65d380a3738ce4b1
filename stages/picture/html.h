/**
 * html.h - pieces of HTML that pictures need.
 */
#ifndef HF_STAGES_PICTURE_HTML_H
#define HF_STAGES_PICTURE_HTML_H

#include "../text/text.h"

void html_base64(struct text *t, const void *bytes, size_t size);

/** Adds a coloured square and its name. */
void html_swatch(struct text *t, const uint8_t colour[3], const char *name);

#endif

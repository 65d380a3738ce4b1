/*
 * embed.c - a tool of the build: `embed OUT.c FILE...` writes the files as C arrays, page_html,
 * page_css and page_js by their endings, those of one ending one after the other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *path, const char *what) {
    fprintf(stderr, "embed: %s: %s\n", path, what);
    return EXIT_FAILURE;
}

/* A script that held the end of its own element would end there in the page. */
static int put_file(FILE *out, const char *path) {
    static const char end[] = "</script";
    size_t matched = 0, column = 0;
    FILE *in = fopen(path, "rb");
    if (!in)
        return fail(path, "cannot be opened");
    for (int c; (c = fgetc(in)) != EOF;) {
        fprintf(out, "%d,%s", c, ++column % 24 == 0 ? "\n" : "");
        matched = c == end[matched] ? matched + 1 : c == end[0];
        if (!end[matched] && strstr(path, ".js")) {
            fclose(in);
            return fail(path, "holds </script, which would end the script in the page");
        }
    }
    int bad = ferror(in);
    fclose(in);
    return bad ? fail(path, "cannot be read") : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    static const char *const endings[] = {"html", "css", "js"};
    FILE *out = argc > 1 ? fopen(argv[1], "wb") : NULL;
    if (!out)
        return fail(argc > 1 ? argv[1] : "OUT.c", "cannot be written");
    fprintf(out, "#include \"report/page_files.h\"\n");
    for (size_t k = 0; k < sizeof endings / sizeof *endings; k++) {
        fprintf(out, "const char page_%s[] = {\n", endings[k]);
        for (int i = 2; i < argc; i++) {
            const char *dot = strrchr(argv[i], '.');
            if (dot && strcmp(dot + 1, endings[k]) == 0 && put_file(out, argv[i]) != 0)
                return EXIT_FAILURE;
        }
        fprintf(out, "0};\n");
    }
    return fclose(out) == 0 ? EXIT_SUCCESS : fail(argv[1], "cannot be written");
}

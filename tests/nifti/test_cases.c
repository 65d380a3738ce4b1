/**
 * test_cases.c - cases.csv: what is read, and that each mistake is told with its line and column.
 */
#include "cases.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

static enum hf_status parse(const char *text, struct hf_cases *ret, struct hf_error *e) {
    /* From the heap, exactly as long as it is, so that a read beyond the end is seen. */
    size_t size = strlen(text);
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    enum hf_status st = hf_cases_parse(copy, size, "data/cases.csv", ret, e);
    free(copy);
    return st;
}

static void test_full(void **state) {
    (void)state;
    struct hf_cases c;
    struct hf_error e;
    assert_int_equal(parse("case,patient,split,image,liver,couinaud,tumor,segments\n"
                           "a,p1,train,a/ct.nii.gz,a/l.nii,/abs/c.nii,,2;4;5\n"
                           "b,p2,test,b.nii,,,b_t.nii,none\n"
                           "c,p2,,c.nii,,,,\n"
                           "d,p3,test,d.nii,,,,d/slices.csv\n",
                           &c, &e),
                     HF_OK);
    assert_int_equal(c.count, 4);
    assert_string_equal(c.item[0].name, "a");
    assert_string_equal(c.item[0].patient, "p1");
    assert_int_equal(c.item[0].split, HF_SPLIT_TRAIN);
    assert_string_equal(c.item[0].path[HF_CASE_IMAGE], "data/a/ct.nii.gz");
    assert_string_equal(c.item[0].path[HF_CASE_LIVER], "data/a/l.nii");
    assert_string_equal(c.item[0].path[HF_CASE_COUINAUD], "/abs/c.nii");
    assert_null(c.item[0].path[HF_CASE_TUMOR]);
    assert_int_equal(c.item[0].column[HF_CASE_COUINAUD], 32);
    assert_true(c.item[0].annotated);
    const uint8_t segments[9] = {1, 0, 1, 0, 1, 1, 0, 0, 0};
    assert_memory_equal(c.item[0].segment, segments, 9);
    assert_true(c.item[1].annotated);
    for (int k = 1; k < 9; k++)
        assert_int_equal(c.item[1].segment[k], 0);
    assert_int_equal(c.item[1].split, HF_SPLIT_TEST);
    assert_false(c.item[2].annotated);
    assert_int_equal(c.item[2].segment[0], 0);
    assert_int_equal(c.item[2].split, HF_SPLIT_TEST); /* as the patient's other line */
    assert_null(c.item[0].slices);
    assert_true(c.item[3].annotated);
    assert_string_equal(c.item[3].slices, "data/d/slices.csv");
    assert_int_equal(c.item[3].slices_column, 20);
    hf_cases_free(&c);
}

/** Other columns, another order, CRLF, a byte order mark, quotes, spaces, blank lines, no newline
 * at the end. */
static void test_loose(void **state) {
    (void)state;
    struct hf_cases c;
    struct hf_error e;
    assert_int_equal(parse("\xef\xbb\xbf\r\n image , age,\"case\"\r\n\r\n"
                           "\"odd, \"\"name\"\".nii\" ,44, x \r\n y.nii,,y",
                           &c, &e),
                     HF_OK);
    assert_int_equal(c.count, 2);
    assert_string_equal(c.item[0].path[HF_CASE_IMAGE], "data/odd, \"name\".nii");
    assert_string_equal(c.item[0].name, "x");
    assert_string_equal(c.item[0].patient, "x");
    assert_int_equal(c.item[0].at.line, 4);
    assert_string_equal(c.item[1].name, "y");
    hf_cases_free(&c);
}

static void test_errors(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "data/cases.csv: the file is empty"},
        {"\xef\xbb\xbf", "data/cases.csv: the file is empty"},
        {"\n\n", ": no column 'case'"},
        {"case,liver\na,b\n", "data/cases.csv:1:1: no column 'image'"},
        {"image\na\n", "data/cases.csv:1:1: no column 'case'"},
        {"case,image\n", "data/cases.csv: a header line but no case"},
        {"case,image,case\na,b,c\n", "data/cases.csv:1:12: a second column 'case'"},
        {"case,image\na\n", "data/cases.csv:2:1: 1 entries; the header has 2 columns"},
        {"case,image\na,b,c\n", "data/cases.csv:2:1: 3 entries"},
        {"case,image\na,\n", "data/cases.csv:2:3: case 'a' has no image"},
        {"case,image\n,x\n", "data/cases.csv:2:1: no case name"},
        {"case,image\na/b,x\n", "data/cases.csv:2:1: case 'a/b' holds a slash"},
        {"case,image\n..,x\n", "data/cases.csv:2:1: case '..' begins with a dot"},
        {"case,image,segments\na,x,2;9\n", "data/cases.csv:2:7: segment '9'; expected 1 to 8"},
        {"case,image,segments\na,x,2;;4\n", "data/cases.csv:2:7: segment ''"},
        {"case,image,segments\na,x, 12\n", "data/cases.csv:2:6: segment '12'"},
        {"case,image,segments\na,x,4a\n", "data/cases.csv:2:5: segment '4a'"},
        {"case,image,split\na,x,tain\n", "data/cases.csv:2:5: split 'tain'; expected train, test"},
        {"case,image\na,x\nb,x\na,y\n", "data/cases.csv:4:1: case 'a' stands in line 2"},
        {"case,image,patient,split\na,x,p,train\nb,x,q,test\nc,x,p,test\n",
         "data/cases.csv:4:1: patient 'p' is in split 'test' here and in 'train' in line 2"},
        {"case,image\n\"a,x\nb,x\n", "data/cases.csv:2:1: a quote that the line does not close"},
        {"case,image\n\"a\"b,x\n", "data/cases.csv:2:4: text after a closing quote"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hf_cases c;
        struct hf_error e;
        assert_int_equal(parse(rows[i].text, &c, &e), HF_INVALID);
        if (!strstr(e.text, rows[i].message) || strchr(e.text, '\n'))
            fail_msg("'%s': expected '%s'", e.text, rows[i].message);
    }
    struct hf_cases c;
    struct hf_error e;
    assert_int_equal(hf_cases_parse("case\0image", 10, "x", &c, &e), HF_INVALID);
    assert_non_null(strstr(e.text, "not a text file"));
}

/** Without a split a patient's cases stay together, and about a fifth is for testing. */
static void test_hash(void **state) {
    (void)state;
    static char text[1 << 16];
    int used = snprintf(text, sizeof text, "case,image,patient\n");
    for (int i = 0; i < 1000; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "c%d,x,p%d\n", i, i / 2);
    struct hf_cases c;
    struct hf_error e;
    assert_int_equal(parse(text, &c, &e), HF_OK);
    int test = 0;
    for (int i = 0; i < 1000; i++) {
        test += c.item[i].split == HF_SPLIT_TEST;
        assert_int_equal(c.item[i].split, c.item[i / 2 * 2].split);
    }
    assert_true(test > 140 && test < 260);
    hf_cases_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_loose),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/**
 * body.c - the tissues around the liver, painted one over the other. They are there so that liver
 * borders look like borders do: dark towards fat and lung, hardly visible towards muscle, bright
 * towards kidney and vessels.
 */
#include "body.h"

#include "elem.h"

static float between(struct hf_rng *r, float lo, float hi) {
    return lo + (hi - lo) * hf_rng_uniform(r);
}

struct place {
    float x, y, z, rx, ry, rz, tilt, hu, shell, shell_hu;
};

static void add(struct phantom_body *b, struct hf_rng *r, struct place p) {
    struct phantom_organ *o = &b->organ[b->organs++];
    float size = between(r, 0.9f, 1.1f);
    *o = (struct phantom_organ){
        {p.x + between(r, -3, 3), p.y + between(r, -3, 3), p.z + between(r, -5, 5)},
        {p.rx * size, p.ry * size, p.rz * size},
        p.tilt,
        p.hu + 4.0f * hf_rng_normal(r),
        p.shell,
        p.shell_hu,
    };
}

void phantom_body_draw(const float half[3], struct hf_rng rng, struct phantom_body *ret) {
    struct hf_rng *r = &rng;
    struct phantom_body b = {0};
    b.fat = between(r, 7, 20);
    b.wall = between(r, 11, 15);
    b.fat_hu = between(r, -108, -92);
    b.muscle_hu = between(r, 48, 64);
    b.rib_phase = hf_rng_uniform(r);
    float layer = b.fat + b.wall;
    float rx = between(r, 148, 172), ry = between(r, 106, 122);
    rx = fmaxf(rx, half[0] + layer);
    ry = fmaxf(ry, half[1] + layer);
    b.radius[0] = rx;
    b.radius[1] = ry;
    b.centre[0] = half[0] + layer - 4 - rx;
    b.centre[1] = half[1] + layer - 6 - ry;
    b.low = -half[2] - between(r, 10, 26);
    b.high = half[2] + between(r, 12, 28);

    const float x = b.centre[0], y = b.centre[1], z = half[2];
    const float spine = y - ry + b.fat + 52, blood = between(r, 135, 165);
    add(&b, r, (struct place){x - 18, y + 22, z + 24, 58, 48, 40, 0, blood - 15, 4, 90});
    add(&b, r, (struct place){x - rx + 62, y - 30, 0.25f * z, 30, 46, 46, 0, 122, 0, 0});
    add(&b, r, (struct place){x - 72, y + 26, 0.1f * z, 40, 34, 52, -0.2f, 22, 5, 75});
    add(&b, r, (struct place){x - 70, y + 46, 0.1f * z, 26, 10, 30, -0.2f, -850, 0, 0});
    add(&b, r, (struct place){x - 58, y - 42, -0.75f * z, 27, 26, 52, 0.1f, 150, 7, 185});
    add(&b, r, (struct place){x + 60, y - 42, -0.85f * z, 27, 26, 52, -0.1f, 150, 7, 185});
    add(&b, r, (struct place){x - 30, y + 8, -0.55f * z, 34, 11, 12, 0, 95, 0, 0});
    add(&b, r, (struct place){x + 34, y + 34, -0.55f * z, 14, 20, 27, 0, 8, 2, 50});
    add(&b, r, (struct place){x + 30, spine - 18, 0, 24, 20, 400, 0, b.muscle_hu, 0, 0});
    add(&b, r, (struct place){x - 30, spine - 18, 0, 24, 20, 400, 0, b.muscle_hu, 0, 0});
    add(&b, r, (struct place){x + 38, spine - 34, 0, 26, 15, 400, 0, b.muscle_hu, 0, 0});
    add(&b, r, (struct place){x - 38, spine - 34, 0, 26, 15, 400, 0, b.muscle_hu, 0, 0});
    add(&b, r, (struct place){x, spine - 36, 0, 7, 22, 400, 0, 250, 0, 0});
    add(&b, r, (struct place){x, spine, 0, 22, 17, 400, 0, 165, 4, 330});
    add(&b, r, (struct place){x, spine - 22, 0, 10, 8, 400, 0, 25, 0, 0});
    add(&b, r, (struct place){x - 10, spine + 30, 0, 11, 11, 400, 0, blood, 0, 0});
    add(&b, r, (struct place){x + 20, spine + 30, 0, 14, 11, 400, 0, blood - 25, 0, 0});
    *ret = b;
}

float phantom_body_depth(const struct phantom_body *b, float x, float y, float outside) {
    float own = phantom_outline(x - b->centre[0], y - b->centre[1], b->radius[0], b->radius[1]);
    return phantom_union(own, b->fat + b->wall + 1.0f - outside, 14.0f);
}

/** Muscle with ribs that come obliquely through the slice. */
static float wall_hu(const struct phantom_body *b, const struct phantom_spot *at, float depth) {
    float x = (at->x - b->centre[0]) / b->radius[0], y = (at->y - b->centre[1]) / b->radius[1];
    float turn = atan2f(y, fabsf(x)), phase = at->z / 34.0f + 2.3f * turn + b->rib_phase;
    float rib = 0.5f - fabsf(phase - floorf(phase) - 0.5f);
    float across = rib * 34.0f, through = fabsf(depth - b->fat - 0.5f * b->wall);
    float inside = 4.5f - sqrtf(0.3f * across * across + through * through);
    if (y > 0.72f)
        inside = -10.0f;
    float bone = phantom_mix(300.0f, 180.0f, phantom_cover(inside - 2.5f, at->width));
    return phantom_mix(b->muscle_hu, bone, phantom_cover(inside, at->width));
}

static float cavity_hu(const struct phantom_body *b, const struct phantom_spot *at, float depth) {
    float hu = b->fat_hu + 6.0f * at->texture;
    float loop = 3.0f * (at->bowel - 0.35f);
    hu = phantom_mix(hu, 45.0f + 8.0f * at->texture, phantom_clamp(0.5f + loop, 0, 1));
    hu = phantom_mix(hu, -600.0f, phantom_clamp(3.0f * (at->bowel - 1.9f), 0, 1));

    float wall = depth - b->fat - b->wall;
    float base = at->diaphragm - 42.0f * expf(-wall * wall / 260.0f);
    float lung = phantom_cover(at->z - base, at->width + 1.5f);
    float air = -845.0f + 25.0f * at->texture;
    air = phantom_mix(air, -350.0f, phantom_smoothstep(1.7f, 2.4f, at->texture));
    hu = phantom_mix(hu, air, lung);

    for (int i = 0; i < b->organs; i++) {
        const struct phantom_organ *o = &b->organ[i];
        float z = at->z - o->centre[2];
        float x = at->x - o->centre[0] - o->tilt * z, y = at->y - o->centre[1];
        if (fabsf(x) > o->radius[0] + 6 || fabsf(y) > o->radius[1] + 6)
            continue;
        float in = phantom_ellipsoid(x, y, z, o->radius[0], o->radius[1], o->radius[2]);
        float own = o->hu + 3.0f * at->texture;
        if (o->shell > 0)
            own = phantom_mix(own, o->shell_hu, phantom_cover(o->shell - in, at->width));
        hu = phantom_mix(hu, own, phantom_cover(in, at->width));
    }
    /* the diaphragm and the liver's own capsule: a thin layer between liver and fat or lung */
    return phantom_mix(hu, b->muscle_hu, 0.7f * phantom_cover(2.3f - at->outside, at->width));
}

float phantom_body_hu(const struct phantom_body *b, const struct phantom_spot *at) {
    float depth = phantom_body_depth(b, at->x, at->y, at->outside);
    if (depth < -at->width)
        return -1000.0f;
    float hu = phantom_mix(-1000.0f, 10.0f, phantom_cover(depth, at->width));
    float fat = b->fat_hu + 5.0f * at->texture;
    hu = phantom_mix(hu, fat, phantom_cover(depth - 2.0f, at->width));
    if (depth < b->fat - at->width)
        return hu;
    float deep = phantom_cover(depth - b->fat - b->wall, at->width);
    float outer = phantom_cover(depth - b->fat, at->width);
    float wall = deep < 1.0f ? wall_hu(b, at, depth) : 0.0f;
    float cavity = deep > 0.0f ? cavity_hu(b, at, depth) : 0.0f;
    return phantom_mix(hu, phantom_mix(wall, cavity, deep), outer);
}

/**
 * tumor.c - shapes and textures of a phantom's tumors. See tumor.h.
 */
#include "tumor.h"

#include "elem.h"

static float between(struct hf_rng *r, float lo, float hi) {
    return lo + (hi - lo) * hf_rng_uniform(r);
}

/** Smooth noise of about unit size from the tumor's lattice, which repeats. */
static float noise_at(const struct phantom_tumor *l, float x, float y, float z) {
    const float p[3] = {x, y, z};
    int32_t low[3], high[3];
    float t[3];
    for (int k = 0; k < 3; k++) {
        float cell = floorf(p[k]), s = p[k] - cell;
        low[k] = (int32_t)cell & (PHANTOM_NOISE - 1);
        high[k] = (low[k] + 1) & (PHANTOM_NOISE - 1);
        t[k] = s * s * (3.0f - 2.0f * s);
    }
    float plane[2];
    for (int i = 0; i < 2; i++) {
        const float *a = l->noise + ((i ? high[0] : low[0]) * PHANTOM_NOISE) * PHANTOM_NOISE;
        const float *lo = a + low[1] * PHANTOM_NOISE, *hi = a + high[1] * PHANTOM_NOISE;
        plane[i] = phantom_mix(phantom_mix(lo[low[2]], lo[high[2]], t[2]),
                               phantom_mix(hi[low[2]], hi[high[2]], t[2]), t[1]);
    }
    return 1.6f * phantom_mix(plane[0], plane[1], t[0]);
}

/** A random rotation, its axes stretched: mm from the centre to units of the radius. */
static void draw_turn(struct hf_rng *r, float radius, float turn[3][3]) {
    float q[4], norm = 0.0f;
    for (int i = 0; i < 4; i++) {
        q[i] = hf_rng_normal(r);
        norm += q[i] * q[i];
    }
    norm = 1.0f / sqrtf(norm + 1e-12f);
    const float a = q[0] * norm, b = q[1] * norm, c = q[2] * norm, d = q[3] * norm;
    const float rotation[3][3] = {
        {1 - 2 * (c * c + d * d), 2 * (b * c - a * d), 2 * (b * d + a * c)},
        {2 * (b * c + a * d), 1 - 2 * (b * b + d * d), 2 * (c * d - a * b)},
        {2 * (b * d - a * c), 2 * (c * d + a * b), 1 - 2 * (b * b + c * c)},
    };
    for (int i = 0; i < 3; i++) {
        float stretch = between(r, 0.82f, 1.22f);
        for (int k = 0; k < 3; k++)
            turn[i][k] = rotation[i][k] / (radius * stretch);
    }
}

static enum phantom_tumor_kind draw_kind(const struct phantom_tumor_range *range, float radius,
                                         struct hf_rng *r) {
    float odd = hf_rng_uniform(r), u = hf_rng_uniform(r);
    if (!range->dark_only && radius < 11.0f && odd < range->bright)
        return PHANTOM_BRIGHT;
    if (!range->dark_only && u < 0.12f)
        return PHANTOM_CALCIFIED;
    if (u < 0.24f)
        return radius > 8.0f ? PHANTOM_NECROTIC : PHANTOM_MIXED;
    if (u < 0.40f)
        return PHANTOM_RIM;
    if (u < 0.54f)
        return PHANTOM_HALO;
    return u < 0.76f ? PHANTOM_MIXED : PHANTOM_PLAIN;
}

static void draw_shape(struct phantom_tumor *l, struct hf_rng *r) {
    l->shape = (enum phantom_shape)hf_rng_below(r, PHANTOM_SHAPES);
    l->balls = 1;
    l->ball[0][3] = 1.0f;
    if (l->shape == PHANTOM_BALLS) {
        l->balls = 2 + (int)hf_rng_below(r, PHANTOM_BALLS_MAX - 1);
        for (int i = 0; i < l->balls; i++) {
            float way = 0.0f;
            for (int k = 0; k < 3; k++) {
                l->ball[i][k] = hf_rng_normal(r);
                way += l->ball[i][k] * l->ball[i][k];
            }
            way = between(r, 0.35f, 0.6f) / sqrtf(way + 1e-12f);
            for (int k = 0; k < 3; k++)
                l->ball[i][k] *= way;
            l->ball[i][3] = between(r, 0.64f, 0.88f);
        }
        l->rough = 0.06f;
        l->frequency = 2.2f;
    } else if (l->shape == PHANTOM_STAR) {
        l->rough = between(r, 0.08f, 0.17f);
        l->frequency = between(r, 1.1f, 2.0f);
    } else {
        l->rough = between(r, 0.12f, 0.22f);
        l->frequency = between(r, 0.9f, 1.5f);
    }
}

void phantom_tumor_draw(const struct phantom_tumor_range *range, float radius, struct hf_rng rng,
                        struct phantom_tumor *ret) {
    struct hf_rng *r = &rng;
    struct phantom_tumor l = {0};
    l.radius = radius;
    l.kind = draw_kind(range, radius, r);
    draw_turn(r, radius, l.turn);
    draw_shape(&l, r);
    /* two uniforms: the middle of the range is the likeliest */
    float share = 0.5f * (hf_rng_uniform(r) + hf_rng_uniform(r));
    share *= range->dark_only ? 0.8f : 1.0f;
    l.contrast = phantom_mix(range->contrast[0], range->contrast[1], share);
    l.texture = between(r, 2.0f, 5.0f);
    l.grain = between(r, 3.5f, 7.0f);
    l.edge = between(r, 0.6f, 2.2f);
    l.layer = between(r, 2.0f, 3.5f);
    switch (l.kind) {
    case PHANTOM_MIXED:
        l.texture = between(r, 8.0f, 13.0f);
        break;
    case PHANTOM_RIM:
        l.layer_hu = between(r, 18.0f, 45.0f);
        break;
    case PHANTOM_HALO:
        l.layer_hu = between(r, -20.0f, -8.0f);
        break;
    case PHANTOM_NECROTIC:
        l.layer_hu = between(r, -32.0f, -14.0f);
        break;
    case PHANTOM_CALCIFIED:
        l.layer_hu = between(r, 90.0f, 260.0f);
        break;
    case PHANTOM_BRIGHT:
        l.contrast = between(r, 18.0f, 38.0f);
        break;
    case PHANTOM_PLAIN:
    case PHANTOM_KINDS:
        break;
    }
    for (int i = 0; i < PHANTOM_NOISE * PHANTOM_NOISE * PHANTOM_NOISE; i++)
        l.noise[i] = phantom_clamp(hf_rng_normal(r), -2.5f, 2.5f);
    *ret = l;
}

float phantom_tumor_depth(const struct phantom_tumor *l, const float from_centre[3]) {
    const float sharp = 1.5f; /* how closely the balls' common surface follows each of them */
    float q[3];
    for (int i = 0; i < 3; i++)
        q[i] = l->turn[i][0] * from_centre[0] + l->turn[i][1] * from_centre[1] +
               l->turn[i][2] * from_centre[2];
    float field = 0.0f;
    for (int i = 0; i < l->balls; i++) {
        const float *b = l->ball[i];
        float x = q[0] - b[0], y = q[1] - b[1], z = q[2] - b[2];
        field += expf(-sharp * (x * x + y * y + z * z) / (b[3] * b[3]));
    }
    float way = field < 1.0f ? sqrtf(-logf(field + 1e-30f) / sharp) : 0.0f;
    float scale = l->frequency;
    if (l->shape == PHANTOM_STAR)
        scale /= sqrtf(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + 1e-3f);
    float bump =
        l->rough * noise_at(l, scale * q[0] + 2.5f, scale * q[1] + 4.5f, scale * q[2] + 1.5f);
    return l->radius * (1.0f - way + bump);
}

float phantom_tumor_reach(const struct phantom_tumor *l) {
    return 1.22f * l->radius * (1.15f + 2.0f * l->rough) + 10.0f;
}

float phantom_tumor_hu(const struct phantom_tumor *l, const float from_centre[3], float depth,
                       float *ret_inside) {
    float inside = phantom_smoothstep(-l->edge, l->edge, depth);
    *ret_inside = inside;
    float seam = 0.0f;
    if (l->kind == PHANTOM_HALO)
        seam = l->layer_hu * (1.0f - inside) * expf(-depth * depth / (l->layer * l->layer));
    if (inside <= 0.0f)
        return seam;
    const float *p = from_centre;
    float grain = 1.0f / l->grain;
    float fine = noise_at(l, p[0] * grain, p[1] * grain, p[2] * grain);
    float hu = l->contrast + l->texture * fine;
    if (l->kind == PHANTOM_RIM) {
        float ring = (depth - 0.5f * l->layer) / l->layer;
        hu += l->layer_hu * expf(-2.0f * ring * ring);
    } else if (l->kind == PHANTOM_NECROTIC) {
        float core = depth / l->radius + 0.12f * fine;
        hu += l->layer_hu * phantom_smoothstep(0.3f, 0.6f, core);
    } else if (l->kind == PHANTOM_CALCIFIED) {
        float speck = noise_at(l, p[0] * 0.4f + 3.3f, p[1] * 0.4f + 5.1f, p[2] * 0.4f + 0.7f);
        hu += l->layer_hu * phantom_smoothstep(1.3f, 2.0f, speck);
    }
    return seam + inside * hu;
}

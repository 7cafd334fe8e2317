/* The transforms of Winograd's convolutions. winograd.py explains and calls them, kernels.py builds this file.
 *
 * Maps are float32, contiguous, (N, C, H, W). A plane, one channel of one sample, has `tall` by `wide` tiles: 4x4 pixels
 * of an output, or the pixels of an input that they depend on, `side` by `side`: 6x6 for 3x3 weights, 5x5 for 2x2 ones.
 * What lies outside of a map counts as 0. Points are (side, side, C, N * tall * wide). Each plane is computed by one
 * thread, so results do not depend on the number of threads.
 */

#include <stdlib.h>
#include <string.h>

#define A 0.70710678118654752f /* the points are 0, A, -A, B, -B and, for 3x3 weights, infinity; A * B = 1 */
#define B 1.41421356237309505f

/* So that the compiler can use the sizes that KNOWN tells it. */
#define INLINE static inline __attribute__((always_inline))

/* Lines of numbers. Each line has one number for every tile. */
typedef float *Lines[6];

INLINE void spread(Lines lines, float *first, long step)
{
    for (int i = 0; i < 6; i++)
        lines[i] = first + i * step;
}

INLINE void clear(float *line, long count)
{
    memset(line, 0, count * sizeof(float));
}

/* From pixels to points. */
INLINE void to_points(Lines x, Lines y, long count)
{
#pragma omp simd
    for (long i = 0; i < count; i++) {
        const float x0 = x[0][i], x1 = x[1][i], x2 = x[2][i], x3 = x[3][i], x4 = x[4][i], x5 = x[5][i];
        const float even = x4 - 2 * x2, odd = A * x3 - B * x1;
        const float other_even = x4 - 0.5f * x2, other_odd = B * x3 - A * x1;
        y[0][i] = x0 - 2.5f * x2 + x4;
        y[1][i] = even + odd;
        y[2][i] = even - odd;
        y[3][i] = other_even + other_odd;
        y[4][i] = other_even - other_odd;
        y[5][i] = x1 - 2.5f * x3 + x5;
    }
}

/* The transpose of to_points. */
INLINE void to_points_transposed(Lines y, Lines x, long count)
{
#pragma omp simd
    for (long i = 0; i < count; i++) {
        const float y0 = y[0][i], y5 = y[5][i];
        const float even = y[1][i] + y[2][i], odd = y[1][i] - y[2][i];
        const float other_even = y[3][i] + y[4][i], other_odd = y[3][i] - y[4][i];
        x[0][i] = y0;
        x[1][i] = y5 - B * odd - A * other_odd;
        x[2][i] = -2.5f * y0 - 2 * even - 0.5f * other_even;
        x[3][i] = A * odd + B * other_odd - 2.5f * y5;
        x[4][i] = y0 + even + other_even;
        x[5][i] = y5;
    }
}

/* From the products at the points to 4 pixels. */
INLINE void to_pixels(Lines x, Lines y, long count)
{
#pragma omp simd
    for (long i = 0; i < count; i++) {
        const float even = x[1][i] + x[2][i], odd = x[1][i] - x[2][i];
        const float other_even = x[3][i] + x[4][i], other_odd = x[3][i] - x[4][i];
        const float x0 = x[0][i], x5 = x[5][i];
        y[0][i] = x0 + even + other_even;
        y[1][i] = A * odd + B * other_odd;
        y[2][i] = 0.5f * even + 2 * other_even;
        y[3][i] = 0.5f * A * odd + 2 * B * other_odd + x5;
    }
}

/* The transpose of to_pixels. */
INLINE void to_pixels_transposed(Lines y, Lines x, long count)
{
#pragma omp simd
    for (long i = 0; i < count; i++) {
        const float y0 = y[0][i], y1 = y[1][i], y2 = y[2][i], y3 = y[3][i];
        const float even = y0 + 0.5f * y2, odd = A * y1 + 0.5f * A * y3;
        const float other_even = y0 + 2 * y2, other_odd = B * y1 + 2 * B * y3;
        x[0][i] = y0;
        x[1][i] = even + odd;
        x[2][i] = even - odd;
        x[3][i] = other_even + other_odd;
        x[4][i] = other_even - other_odd;
        x[5][i] = y3;
    }
}

/* Four neighbouring pixels, or one column of four neighbouring tiles. */
typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));

#ifdef __clang__
#define PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (Integers){i, j, k, l})
typedef int Integers __attribute__((vector_size(16)));
#endif

/* Write the rows of a 4x4 matrix as columns. */
INLINE void transpose(const float *from, long from_step, float *to, long to_step)
{
    const Four a = *(const Four *)from, b = *(const Four *)(from + from_step);
    const Four c = *(const Four *)(from + 2 * from_step), d = *(const Four *)(from + 3 * from_step);
    const Four e = PICK(a, b, 0, 4, 1, 5), f = PICK(c, d, 0, 4, 1, 5);
    const Four g = PICK(a, b, 2, 6, 3, 7), h = PICK(c, d, 2, 6, 3, 7);
    *(Four *)to = PICK(e, f, 0, 1, 4, 5);
    *(Four *)(to + to_step) = PICK(e, f, 2, 3, 6, 7);
    *(Four *)(to + 2 * to_step) = PICK(g, h, 0, 1, 4, 5);
    *(Four *)(to + 3 * to_step) = PICK(g, h, 2, 3, 6, 7);
}

/* Sort a plane: for each row modulo 4, six lines (rows / 4, wide), one for each column of a tile. */
INLINE void sort(const float *plane, float *sorted, long height, long width, long rows, long wide)
{
    const long line = rows / 4 * wide, whole = (width / 4 < wide ? width / 4 : wide) & -4;
    for (long row = 0; row < rows; row++) {
        const float *from = plane + row * width;
        float *to = sorted + row % 4 * 6 * line + row / 4 * wide;
        if (row >= height) {
            for (int column = 0; column < 6; column++)
                clear(to + column * line, wide);
            continue;
        }
        for (long tile = 0; tile < whole; tile += 4)
            transpose(from + 4 * tile, 4, to + tile, line);
        for (long column = 4 * whole; column < 4 * wide; column++)
            to[column % 4 * line + column / 4] = column < width ? from[column] : 0;
        for (int column = 0; column < 2; column++) {
            float *own = to + column * line, *shifted = to + (4 + column) * line;
            long tile = 0;
            for (; tile + 4 < wide; tile += 4)
                *(Four *)(shifted + tile) = *(const Four *)(own + tile + 1);
            for (; tile < wide - 1; tile++)
                shifted[tile] = own[tile + 1];
            shifted[tile] = 4 * wide + column < width ? from[4 * wide + column] : 0;
        }
    }
}

/* Write sorted lines, of which columns 0 to 3 count, into a plane. */
INLINE void unsort(const float *sorted, float *plane, long height, long width, long rows, long wide)
{
    const long line = rows / 4 * wide, whole = (width / 4 < wide ? width / 4 : wide) & -4;
    for (long row = 0; row < height; row++) {
        const float *from = sorted + row % 4 * 6 * line + row / 4 * wide;
        float *to = plane + row * width;
        for (long tile = 0; tile < whole; tile += 4)
            transpose(from + tile, line, to + 4 * tile, 4);
        for (long column = 4 * whole; column < width; column++)
            to[column] = column < 4 * wide ? from[column % 4 * line + column / 4] : 0;
    }
}

/* `tall` by `wide` tiles in each of `samples * channels` planes of `height` by `width`. */
typedef struct {
    long samples, channels, height, width, tall, wide, side;
} Shape;

/* Transforms one plane to or from its points. */
typedef void Transform(float *plane, float *points, const Shape *shape, float *room);

static void each_plane(Transform *transform, const float *maps, const float *points, Shape shape, int threads)
{
    const long planes = shape.samples * shape.channels, tiles = shape.tall * shape.wide;
#pragma omp parallel num_threads(threads) if (planes * tiles > 2048)
    {
        float *room = calloc(27 * (tiles + shape.wide), sizeof(float));
#pragma omp for
        for (long plane = 0; plane < planes; plane++) {
            const long sample = plane / shape.channels, channel = plane % shape.channels;
            transform((float *)maps + plane * shape.height * shape.width,
                      (float *)points + (channel * shape.samples + sample) * tiles, &shape, room);
        }
        free(room);
    }
}

/* The points of one column. With 2x2 weights there is no sixth: what is written there is lost, and 0 is read. */
INLINE void spread_points(Lines lines, float *points, long column, const Shape *shape, float *none)
{
    const long step = shape->samples * shape->channels * shape->tall * shape->wide;
    spread(lines, points + column * step, shape->side * step);
    if (shape->side < 6)
        lines[5] = none;
}

INLINE void input(float *plane, float *points, const Shape *shape, float *room)
{
    const long tiles = shape->tall * shape->wide, line = tiles + shape->wide;
    Lines in, out;
    sort(plane, room, shape->height, shape->width, 4 * (shape->tall + 1), shape->wide);
    for (int row = 0; row < 4; row++) {
        spread(in, room + row * 6 * line, line);
        to_points(in, in, line);
    }
    for (int column = 0; column < shape->side; column++) {
        for (int row = 0; row < 6; row++)
            in[row] = room + (row % 4 * 6 + column) * line + row / 4 * shape->wide;
        spread_points(out, points, column, shape, room + 24 * line);
        to_points(in, out, tiles);
    }
}

INLINE void input_transposed(float *plane, float *points, const Shape *shape, float *room)
{
    const long wide = shape->wide, tiles = shape->tall * wide, line = tiles + wide;
    float *overlap = room + 24 * line, *none = room + 26 * line;
    Lines in, out;
    for (int column = 0; column < shape->side; column++) {
        spread_points(in, points, column, shape, none);
        spread(out, room + column * line, 6 * line);
        out[4] = overlap;
        out[5] = overlap + tiles;
        to_points_transposed(in, out, tiles);
        for (int row = 0; row < 4; row++)
            clear(out[row] + tiles, wide);
        for (int row = 0; row < 2; row++)
            for (long i = 0; i < tiles; i++)
                out[row][wide + i] += out[4 + row][i];
    }
    for (int row = 0; row < 4; row++) {
        spread(in, room + row * 6 * line, line);
        if (shape->side < 6)
            clear(in[5], line);
        to_points_transposed(in, in, line);
    }
    for (long row = 0; row < 4 * (shape->tall + 1); row++) /* a tile's last columns are the first of its neighbour */
        for (int i = 0; i < 2; i++) {
            float *own = room + (row % 4 * 6 + i) * line + row / 4 * wide, *last = own + 4 * line;
            for (long tile = 0; tile < wide - 1; tile++)
                own[tile + 1] += last[tile];
        }
    unsort(room, plane, shape->height, shape->width, 4 * (shape->tall + 1), wide);
    for (long row = 0; row < shape->height; row++)
        for (long column = 4 * wide; column < shape->width && column < 4 * wide + 2; column++)
            plane[row * shape->width + column] =
                room[(row % 4 * 6 + 4 + column - 4 * wide) * line + (row / 4 + 1) * wide - 1];
}

INLINE void output(float *plane, float *points, const Shape *shape, float *room)
{
    const long tiles = shape->tall * shape->wide;
    Lines in, out;
    for (int column = 0; column < shape->side; column++) {
        spread_points(in, points, column, shape, room + 24 * tiles);
        spread(out, room + column * tiles, 6 * tiles);
        to_pixels(in, out, tiles);
    }
    for (int row = 0; row < 4; row++) {
        spread(in, room + row * 6 * tiles, tiles);
        if (shape->side < 6)
            clear(in[5], tiles);
        to_pixels(in, in, tiles);
    }
    unsort(room, plane, shape->height, shape->width, 4 * shape->tall, shape->wide);
}

INLINE void output_transposed(float *plane, float *points, const Shape *shape, float *room)
{
    const long tiles = shape->tall * shape->wide;
    Lines in, out;
    sort(plane, room, shape->height, shape->width, 4 * shape->tall, shape->wide);
    for (int row = 0; row < 4; row++) {
        spread(in, room + row * 6 * tiles, tiles);
        to_pixels_transposed(in, in, tiles);
    }
    for (int column = 0; column < shape->side; column++) {
        spread(in, room + column * tiles, 6 * tiles);
        spread_points(out, points, column, shape, room + 24 * tiles);
        to_pixels_transposed(in, out, tiles);
    }
}

/* From the taps of weights, of which 2x2 ones have no third, to points. */
static void taps_to_points(Lines taps, Lines points, long count)
{
#pragma omp simd
    for (long i = 0; i < count; i++) {
        const float near = (taps[0][i] + 0.5f * taps[2][i]) / -1.5f, near_odd = A / -1.5f * taps[1][i];
        const float far = (taps[0][i] + 2 * taps[2][i]) / 6, far_odd = B / 6 * taps[1][i];
        points[0][i] = taps[0][i];
        points[1][i] = near + near_odd;
        points[2][i] = near - near_odd;
        points[3][i] = far + far_odd;
        points[4][i] = far - far_odd;
        points[5][i] = taps[2][i];
    }
}

/* The transpose of taps_to_points. */
static void taps_to_points_transposed(Lines points, Lines taps, long count)
{
#pragma omp simd
    for (long i = 0; i < count; i++) {
        const float near = (points[1][i] + points[2][i]) / -1.5f, near_odd = A / -1.5f * (points[1][i] - points[2][i]);
        const float far = (points[3][i] + points[4][i]) / 6, far_odd = B / 6 * (points[3][i] - points[4][i]);
        taps[0][i] = points[0][i] + near + far;
        taps[1][i] = near_odd + far_odd;
        taps[2][i] = 0.5f * near + 2 * far + points[5][i];
    }
}

#define BLOCK 64

/* Weights, each of `kernel` by `kernel` taps, to or from their points, (side, side, weights). */
typedef void WeightTransform(float *weights, float *points, long all, long count, long kernel);

static void weights_to_points(float *weights, float *points, long all, long count, long kernel)
{
    float room[3 * 3][BLOCK] = {0}, by_row[6 * 3][BLOCK], none[BLOCK];
    const long side = kernel + 3;
    Lines in, out;
    for (long row = 0; row < kernel; row++)
        for (long column = 0; column < kernel; column++)
            for (long i = 0; i < count; i++)
                room[row * 3 + column][i] = weights[(i * kernel + row) * kernel + column];
    for (long column = 0; column < 3; column++) {
        spread(in, room[column], 3 * BLOCK);
        spread(out, by_row[column], 3 * BLOCK);
        taps_to_points(in, out, count);
    }
    for (long row = 0; row < side; row++) {
        spread(in, by_row[row * 3], BLOCK);
        spread(out, points + row * side * all, all);
        if (side < 6)
            out[5] = none;
        taps_to_points(in, out, count);
    }
}

static void weights_from_points(float *weights, float *points, long all, long count, long kernel)
{
    float room[3 * 3][BLOCK], by_row[6 * 3][BLOCK] = {0}, none[BLOCK] = {0};
    const long side = kernel + 3;
    Lines in, out;
    for (long row = 0; row < side; row++) {
        spread(in, points + row * side * all, all);
        spread(out, by_row[row * 3], BLOCK);
        if (side < 6)
            in[5] = none;
        taps_to_points_transposed(in, out, count);
    }
    for (long column = 0; column < kernel; column++) {
        spread(in, by_row[column], 3 * BLOCK);
        spread(out, room[column], 3 * BLOCK);
        taps_to_points_transposed(in, out, count);
    }
    for (long row = 0; row < kernel; row++)
        for (long column = 0; column < kernel; column++)
            for (long i = 0; i < count; i++)
                weights[(i * kernel + row) * kernel + column] = room[row * 3 + column][i];
}

static void each_block(WeightTransform *transform, const float *weights, const float *points, long all, long kernel,
                       int threads)
{
#pragma omp parallel for num_threads(threads) if (all > 16384)
    for (long first = 0; first < all; first += BLOCK)
        transform((float *)weights + first * kernel * kernel, (float *)points + first, all,
                  all - first < BLOCK ? all - first : BLOCK, kernel);
}

/* The transform of `count` by `count` tiles. The compiler knows the length of most loops then, which saves up to half of
 * the time. */
#define KNOWN(transform, count)                                                                                       \
    static void transform##_##count(float *plane, float *points, const Shape *shape, float *room)                     \
    {                                                                                                                 \
        Shape known = *shape;                                                                                         \
        known.tall = known.wide = count;                                                                              \
        transform(plane, points, &known, room);                                                                       \
    }

/* The functions that winograd.py calls. */
#define EXPORT(transform)                                                                                             \
    KNOWN(transform, 4)                                                                                               \
    KNOWN(transform, 8)                                                                                               \
    void winograd_##transform(const float *maps, const float *points, long samples, long channels, long height,       \
                              long width, long tall, long wide, long side, int threads)                               \
    {                                                                                                                 \
        Transform *square = tall == 4 ? transform##_4 : tall == 8 ? transform##_8 : transform;                        \
        const Shape shape = {samples, channels, height, width, tall, wide, side};                                     \
        each_plane(tall == wide ? square : transform, maps, points, shape, threads);                                  \
    }

EXPORT(input)
EXPORT(input_transposed)
EXPORT(output)
EXPORT(output_transposed)

void winograd_weights(const float *weights, const float *points, long all, long kernel, int threads)
{
    each_block(weights_to_points, weights, points, all, kernel, threads);
}

void winograd_weights_transposed(const float *weights, const float *points, long all, long kernel, int threads)
{
    each_block(weights_from_points, weights, points, all, kernel, threads);
}

/* Power iteration. spectral.py explains and calls it, kernels.py builds this file.
 *
 * Matrices are float32, contiguous, (rows, columns). Sums over rows are taken in a fixed number of parts, so results do
 * not depend on the number of threads.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PARTS 8
#define EPS 1e-12

/* Divide by the length, or by EPS if that is less; return the length. */
static double normalise(float *x, long count)
{
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (long i = 0; i < count; i++)
        squares += (double)x[i] * x[i];
    const double length = sqrt(squares);
    const float scale = 1 / (length < EPS ? EPS : length);
#pragma omp simd
    for (long i = 0; i < count; i++)
        x[i] *= scale;
    return length;
}

/* product = matrix v */
static void multiply(const float *matrix, const float *v, float *product, long rows, long columns, int threads)
{
#pragma omp parallel for num_threads(threads) if (rows * columns > 65536)
    for (long row = 0; row < rows; row++) {
        const float *line = matrix + row * columns;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (long i = 0; i < columns; i++)
            sum += line[i] * v[i];
        product[row] = sum;
    }
}

/* product = matrix^T u, with room for PARTS sums */
static void multiply_transposed(const float *matrix, const float *u, float *product, float *room, long rows,
                                long columns, int threads)
{
#pragma omp parallel for num_threads(threads) if (rows * columns > 65536)
    for (long part = 0; part < PARTS; part++) {
        float *sum = room + part * columns;
        memset(sum, 0, columns * sizeof(float));
        for (long row = part * rows / PARTS; row < (part + 1) * rows / PARTS; row++) {
            const float *line = matrix + row * columns;
#pragma omp simd
            for (long i = 0; i < columns; i++)
                sum[i] += u[row] * line[i];
        }
    }
    memcpy(product, room, columns * sizeof(float));
    for (long part = 1; part < PARTS; part++)
#pragma omp simd
        for (long i = 0; i < columns; i++)
            product[i] += room[part * columns + i];
}

/* Take steps from the u of each matrix, each v = matrix^T u, u = matrix v, both divided by their length. Matrices are
 * (groups, rows, columns), u is (groups, rows). Each step has a u in `us`, (groups, steps, rows), a v in `vs`, (groups,
 * steps, columns), and u^T matrix v in `sigmas`, (groups, steps). */
void power_iteration(const float *matrix, const float *u, float *us, float *vs, float *sigmas, long groups, long rows,
                     long columns, long steps, int threads)
{
    float *room = malloc(PARTS * columns * sizeof(float));
    for (long group = 0; group < groups; group++, matrix += rows * columns) {
        const float *from = u + group * rows;
        for (long step = 0; step < steps; step++, from = us, us += rows, vs += columns) {
            multiply_transposed(matrix, from, vs, room, rows, columns, threads);
            normalise(vs, columns);
            multiply(matrix, vs, us, rows, columns, threads);
            const double length = normalise(us, rows);
            *sigmas++ = length < EPS ? length * length / EPS : length;
        }
    }
    free(room);
}

/* Normalisation, reflection padding and pixel shuffling, forward and backward, each in one call. kernels.py builds this
 * file and calls it.
 *
 * Maps are float32, contiguous, (N, C, H, W). A plane is one channel of one sample, and `pixels` is H * W. Sums are in
 * double precision. Each is computed by one thread, so results do not depend on the number of threads.
 */

#include <math.h>
#include <string.h>

#define PARALLEL _Pragma("omp parallel for num_threads(threads) if (planes * pixels > 65536)")

static void moments(const float *x, long pixels, double *mean, double *squares)
{
    double sum = 0, deviations = 0;
#pragma omp simd reduction(+ : sum)
    for (long i = 0; i < pixels; i++)
        sum += x[i];
    const double centre = sum / pixels;
#pragma omp simd reduction(+ : deviations)
    for (long i = 0; i < pixels; i++)
        deviations += (x[i] - centre) * (x[i] - centre);
    *mean = centre;
    *squares = deviations;
}

/* y = (x - mean) / sqrt(squares / pixels + eps). Keeps the mean and the inverse root of each plane. */
void instance_forward(const float *x, float *y, double *mean, double *inverse, long planes, long pixels, double eps,
                      int threads)
{
    PARALLEL
    for (long plane = 0; plane < planes; plane++) {
        const float *in = x + plane * pixels;
        float *out = y + plane * pixels;
        double squares;
        moments(in, pixels, mean + plane, &squares);
        inverse[plane] = 1 / sqrt(squares / pixels + eps);
        const float scale = inverse[plane], centre = mean[plane];
#pragma omp simd
        for (long i = 0; i < pixels; i++)
            out[i] = (in[i] - centre) * scale;
    }
}

static void sums(const float *grad, const float *x, long pixels, double mean, double *total, double *product)
{
    double sum = 0, weighted = 0;
#pragma omp simd reduction(+ : sum, weighted)
    for (long i = 0; i < pixels; i++) {
        sum += grad[i];
        weighted += grad[i] * (x[i] - mean);
    }
    *total = sum;
    *product = weighted;
}

/* out = grad * scale + (x - mean) * slope + offset */
static void combine(const float *grad, const float *x, float *out, long pixels,
                    float scale, float mean, float slope, float offset)
{
#pragma omp simd
    for (long i = 0; i < pixels; i++)
        out[i] = grad[i] * scale + (x[i] - mean) * slope + offset;
}

void instance_backward(const float *grad, const float *x, float *out, const double *mean, const double *inverse,
                       long planes, long pixels, int threads)
{
    PARALLEL
    for (long plane = 0; plane < planes; plane++) {
        const long at = plane * pixels;
        const double scale = inverse[plane];
        double total, product;
        sums(grad + at, x + at, pixels, mean[plane], &total, &product);
        combine(grad + at, x + at, out + at, pixels, scale, mean[plane],
                -product * scale * scale * scale / pixels, -total * scale / pixels);
    }
}

/* AdaLIN and ILN: y = gain * (rho * by channel + (1 - rho) * by layer) + bias, with gain, bias and rho (N, C). Keeps the
 * mean and the squared deviations of each plane, and of each sample, the layer. */
void layer_instance_forward(const float *x, float *y, const float *gain, const float *bias, const float *rho,
                            double *mean, double *squares, double *layer_mean, double *layer_squares,
                            long samples, long channels, long pixels, double eps, int threads)
{
    const long planes = samples * channels;
    PARALLEL
    for (long plane = 0; plane < planes; plane++)
        moments(x + plane * pixels, pixels, mean + plane, squares + plane);
    for (long sample = 0; sample < samples; sample++) {
        const double *means = mean + sample * channels;
        double sum = 0, deviations = 0;
        for (long c = 0; c < channels; c++)
            sum += means[c];
        const double centre = sum / channels;
        for (long c = 0; c < channels; c++)
            deviations += squares[sample * channels + c] + pixels * (means[c] - centre) * (means[c] - centre);
        layer_mean[sample] = centre;
        layer_squares[sample] = deviations;
    }
    PARALLEL
    for (long plane = 0; plane < planes; plane++) {
        const long sample = plane / channels;
        const double by_channel = rho[plane] / sqrt(squares[plane] / (pixels - 1) + eps);
        const double by_layer = (1 - rho[plane]) / sqrt(layer_squares[sample] / (pixels * channels - 1) + eps);
        const float scale = gain[plane] * (by_channel + by_layer);
        const float shift = bias[plane] - gain[plane] * (by_channel * mean[plane] + by_layer * layer_mean[sample]);
        const float *in = x + plane * pixels;
        float *out = y + plane * pixels;
#pragma omp simd
        for (long i = 0; i < pixels; i++)
            out[i] = in[i] * scale + shift;
    }
}

void layer_instance_backward(const float *grad, const float *x, float *out, const float *gain, const float *rho,
                             const double *mean, const double *squares, const double *layer_mean,
                             const double *layer_squares, float *gain_grad, float *bias_grad, float *rho_grad,
                             double *scale, double *slope, double *offset,
                             long samples, long channels, long pixels, double eps, int threads)
{
    const long planes = samples * channels;
    double *total = offset, *product = slope; /* read before they are replaced */
    PARALLEL
    for (long plane = 0; plane < planes; plane++)
        sums(grad + plane * pixels, x + plane * pixels, pixels, mean[plane], total + plane, product + plane);
    for (long sample = 0; sample < samples; sample++) {
        const long first = sample * channels, end = first + channels;
        const double count = (double)pixels * channels - 1, centre = layer_mean[sample];
        const double by_layer = 1 / sqrt(layer_squares[sample] / count + eps);
        double by_layer_grad = 0, centre_grad = 0;
        for (long p = first; p < end; p++) {
            const double by_channel = 1 / sqrt(squares[p] / (pixels - 1) + eps);
            const double about_centre = product[p] + (mean[p] - centre) * total[p];
            scale[p] = gain[p] * (rho[p] * by_channel + (1 - rho[p]) * by_layer);
            gain_grad[p] = rho[p] * by_channel * product[p] + (1 - rho[p]) * by_layer * about_centre;
            bias_grad[p] = total[p];
            rho_grad[p] = gain[p] * (by_channel * product[p] - by_layer * about_centre);
            by_layer_grad += gain[p] * (1 - rho[p]) * about_centre;
            centre_grad -= gain[p] * (1 - rho[p]) * by_layer * total[p];
        }
        const double layer_grad = -0.5 * by_layer_grad * by_layer * by_layer * by_layer / count;
        for (long p = first; p < end; p++) {
            const double by_channel = 1 / sqrt(squares[p] / (pixels - 1) + eps), weight = gain[p] * rho[p];
            const double squares_grad =
                layer_grad - 0.5 * weight * product[p] * by_channel * by_channel * by_channel / (pixels - 1);
            const double mean_grad = centre_grad / channels - weight * by_channel * total[p]
                                     + 2 * layer_grad * pixels * (mean[p] - centre);
            slope[p] = 2 * squares_grad;
            offset[p] = mean_grad / pixels;
        }
    }
    PARALLEL
    for (long plane = 0; plane < planes; plane++) {
        const long at = plane * pixels;
        combine(grad + at, x + at, out + at, pixels, scale[plane], mean[plane], slope[plane], offset[plane]);
    }
}

static long reflected(long at, long side)
{
    return at < 0 ? -at : at < side ? at : 2 * side - 2 - at;
}

void reflect_forward(const float *x, float *y, long planes, long height, long width, long padding,
                     int threads)
{
    const long wide = width + 2 * padding, tall = height + 2 * padding, pixels = wide * tall;
    PARALLEL
    for (long plane = 0; plane < planes; plane++)
        for (long row = 0; row < tall; row++) {
            const float *in = x + (plane * height + reflected(row - padding, height)) * width;
            float *out = y + plane * pixels + row * wide;
            for (long i = 0; i < padding; i++) {
                out[i] = in[padding - i];
                out[padding + width + i] = in[width - 2 - i];
            }
            memcpy(out + padding, in, width * sizeof(float));
        }
}

void reflect_backward(const float *grad, float *out, long planes, long height, long width, long padding,
                     int threads)
{
    const long wide = width + 2 * padding, tall = height + 2 * padding, pixels = wide * tall;
    PARALLEL
    for (long plane = 0; plane < planes; plane++) {
        float *to = out + plane * height * width;
        const float *from = grad + plane * pixels;
        for (long row = 0; row < height; row++)
            memcpy(to + row * width, from + (row + padding) * wide + padding, width * sizeof(float));
        for (long row = 0; row < tall; row++) {
            const float *line = from + row * wide;
            float *sum = to + reflected(row - padding, height) * width;
            if (row < padding || row >= padding + height)
                for (long i = 0; i < width; i++)
                    sum[i] += line[padding + i];
            for (long i = 0; i < padding; i++) {
                sum[padding - i] += line[i];
                sum[width - 2 - i] += line[padding + width + i];
            }
        }
    }
}

/* Interleave the rows and columns of four planes, for even and odd ones of each, without the outermost if `cropped`. */
void shuffle_forward(const float *x, float *y, long planes, long height, long width, long cropped, int threads)
{
    const long tall = 2 * (height - cropped), wide = 2 * (width - cropped), pixels = wide * tall;
    PARALLEL
    for (long plane = 0; plane < planes; plane++)
        for (long row = 0; row < tall; row++) {
            const long at = row + cropped;
            const float *even = x + ((4 * plane + at % 2 * 2) * height + at / 2) * width, *odd = even + height * width;
            const float *first = cropped ? odd : even, *second = cropped ? even + 1 : odd;
            float *out = y + plane * pixels + row * wide;
#pragma omp simd
            for (long i = 0; i < wide / 2; i++) {
                out[2 * i] = first[i];
                out[2 * i + 1] = second[i];
            }
        }
}

void shuffle_backward(const float *grad, float *out, long planes, long height, long width, long cropped, int threads)
{
    const long tall = 2 * (height - cropped), wide = 2 * (width - cropped), pixels = wide * tall;
    PARALLEL
    for (long plane = 0; plane < planes; plane++)
        for (long at = 0; at < 2 * height; at++) {
            float *even = out + ((4 * plane + at % 2 * 2) * height + at / 2) * width, *odd = even + height * width;
            float *first = cropped ? odd : even, *second = cropped ? even + 1 : odd;
            const long row = at - cropped;
            if (row < 0 || row >= tall) {
                memset(even, 0, width * sizeof(float));
                memset(odd, 0, width * sizeof(float));
                continue;
            }
            const float *in = grad + plane * pixels + row * wide;
#pragma omp simd
            for (long i = 0; i < wide / 2; i++) {
                first[i] = in[2 * i];
                second[i] = in[2 * i + 1];
            }
            if (cropped)
                even[0] = odd[width - 1] = 0;
        }
}

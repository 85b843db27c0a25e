#include "math.h"

#include <cstdint>
#include <cstring>

namespace espalier {
namespace {

constexpr double kLn2High = 0x1.62e42fefa38p-1;  // 42 bits: n * high is exact for |n| < 2048
constexpr double kLn2Low = 0x1.ef35793c7673p-45;

uint64_t bitsOf(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  return bits;
}

double fromBits(uint64_t bits) {
  double x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

double roundWhole(double x) {
  const double magic = 0x1.8p52;
  return (x + magic) - magic;
}

}  // namespace

double logExact(double x) {
  // x = 2^n * m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(f), f = (m - 1) / (m + 1).
  const uint64_t bits = bitsOf(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = fromBits((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    exponent++;
  }
  const double f = (m - 1.0) / (m + 1.0), square = f * f;
  double series = 0;
  for (int k = 23; k >= 3; k -= 2) series = (series + 1.0 / k) * square;
  const double n = exponent;
  return n * kLn2High + (2.0 * f + (2.0 * f * series + n * kLn2Low));
}

double expExact(double x) {
  const double n = roundWhole(x * 1.4426950408889634);
  const double r = (x - n * kLn2High) - n * kLn2Low;
  double series = 1.0;
  for (int k = 14; k >= 1; k--) series = 1.0 + series * r / k;
  return series * fromBits(static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52);
}

void sinCosExact(double x, double& sine, double& cosine) {
  // pi / 2 in three parts of 33, 33 and 53 bits (fdlibm): n * part is exact for n < 2^20, near enough beyond.
  const double n = roundWhole(x * 0.63661977236758134308);
  const double r = ((x - n * 1.57079632673412561417e+00) - n * 6.07710050630396597660e-11) - n * 2.02226624879595063154e-21;
  const double square = r * r;
  double s = 0, c = 0;
  for (int k = 10; k >= 1; k--) {
    s = -(1.0 + s) * square / ((2.0 * k) * (2.0 * k + 1.0));
    c = -(1.0 + c) * square / ((2.0 * k - 1.0) * (2.0 * k));
  }
  s = r + r * s;
  c = 1.0 + c;
  switch (static_cast<int64_t>(n) & 3) {
    case 0: sine = s, cosine = c; break;
    case 1: sine = c, cosine = -s; break;
    case 2: sine = -s, cosine = -c; break;
    default: sine = -c, cosine = s; break;
  }
}

}  // namespace espalier

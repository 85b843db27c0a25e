// Own exp, log, sin and cos (rule 4): plain + - * / and fma of doubles, so equal on every IEEE machine.
#pragma once

namespace espalier {

double logExact(double x);   // x > 0, normal
double expExact(double x);   // |x| < 700
void sinCosExact(double x, double& sine, double& cosine);  // |x| < 1e9

/// The kernels' float exp (exp.inc) of a row; y may be x.
void expRow(const float* x, int width, float* y);
inline float expOne(float x) {
  float y;
  expRow(&x, 1, &y);
  return y;
}
inline float logOne(float x) { return static_cast<float>(logExact(static_cast<double>(x))); }

}  // namespace espalier

// Attention's backward for query rows of one path over all keys and values that they see, block by block of positions.
//
// Invariants:
// 1. A query at position p sends gradient to the positions 0..p only; stale blocks are never read into a result.
// 2. Nothing of T x T is kept: probabilities come again from the kept maximum and sum, 96 query rows by 64 keys a time.
// 3. Order of sums, whatever the threads: query rows in tiles of 96 (position ascending, heads of a group innermost),
//    blocks ascending, one fma chain within a tile, tiles added one by one.
#pragma once

#include <cstddef>

#include "attention.h"

namespace espalier {

struct AttentionBackward {
  int rows, firstPosition, heads;
  float scale;
  BlockLayout layout;
  BlockTable keys;    // as in the forward pass: key panels, value rows
  BlockTable values;  // its mirror, stored with keys and values swapped: value panels, key rows
  const float* q;     // [rows][heads * headDim], rotated
  ptrdiff_t ldq;
  const float* out;   // [rows][heads * headDim]
  const float* dOut;  // the same shape
  const float* maxima;  // [rows][heads]
  const float* sums;    // [rows][heads]
  float* dq;            // [rows][heads * headDim] stride lddq, overwritten
  ptrdiff_t lddq;
  float* dKeys;    // [kvHeads][positions][valueStride], added to
  float* dValues;  // the same shape
  ptrdiff_t headStride;  // floats between two kvHeads of dKeys and dValues
  float* scratch;        // attentionBackwardScratch floats
};

size_t attentionBackwardScratch(const BlockLayout& layout, int heads, int rows);

void attentionBackward(const AttentionBackward& of);

}  // namespace espalier

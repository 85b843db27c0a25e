// Causal attention of query rows over keys and values in blocks of 64 positions.
//
// Invariants:
// 1. A query at position p sees exactly the positions 0..p, in that order, whatever block holds them and whatever
//    rows are computed beside it.
// 2. Score: one chain over headDim, then times scale. Maximum of all scores first; sum of exp in 16 lanes (position j
//    in lane j mod 16); P * V by position ascending, the chain restarted every 256 positions; then divided by the sum.
// 3. Positions after p are never read into a result: stale blocks may hold anything, NaN too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa.h"

namespace espalier {

inline constexpr int kBlockTokens = 64;

/// One block of one layer: for each key/value head [K: 4 panels of [headDim][16] | V: [64][padded headDim]].
struct BlockLayout {
  int kvHeads;
  int headDim;
  int valueStride() const { return padToLanes(headDim); }
  size_t keyFloats() const { return static_cast<size_t>(kBlockTokens) * headDim; }
  size_t headFloats() const { return keyFloats() + static_cast<size_t>(kBlockTokens) * valueStride(); }
  size_t blockFloats() const { return headFloats() * kvHeads; }
};

/// A sequence's blocks in one layer: positions [64 i, 64 i + 64) lie at base + blocks[i] * blockFloats.
struct BlockTable {
  float* base;
  const int32_t* blocks;
  float* head(const BlockLayout& layout, int block, int kvHead) const {
    return base + static_cast<size_t>(blocks[block]) * layout.blockFloats() + kvHead * layout.headFloats();
  }
};

/// Writes one position's rotated keys [kvHeads][headDim] and values [kvHeads][headDim] into its block.
void storeKeyValue(const BlockTable& table, const BlockLayout& layout, int position, const float* keys,
                   const float* values);

/// Floats of scratch that `attention` needs for queries up to `lastPosition`.
size_t attentionScratch(int lastPosition);

/// q: [rows][heads * headDim] stride ldq, rotated; row r is at position firstPosition + r. out: the same shape, stride
/// ldo. maxima, sums: [rows][heads], or null when not wanted: P[j] = exp(score[j] - maximum) / sum.
void attention(const float* q, ptrdiff_t ldq, int rows, int firstPosition, int heads, float scale,
               const BlockTable& table, const BlockLayout& layout, float* out, ptrdiff_t ldo, float* maxima,
               float* sums, float* scratch);

}  // namespace espalier

#include "draw.h"

#include <algorithm>

#include "isa.h"

namespace espalier {
namespace {

uint64_t splitmix64(uint64_t x) {
  uint64_t z = x + 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

int32_t greedy(const float* logits, int vocab, float maximum) {
  for (int i = 0; i < vocab; i++) {
    if (logits[i] == maximum) return i;
  }
  return 0;
}

/// From the whole row: finds the block of 256, then the token in it.
int32_t drawWhole(int vocab, const DrawSpace& space, double uniform) {
  const float *e = space.e.data(), *blocks = space.blocks.data();
  const int blockCount = (vocab + kChain - 1) / kChain;
  double total = 0;
  for (int b = 0; b < blockCount; b++) total += blocks[b];
  const double target = uniform * total;
  double before = 0;
  int32_t last = 0;
  for (int b = 0; b < blockCount; b++) {
    const double after = before + blocks[b];
    // Rounding may leave the target at a block's very end: then its last possible token is drawn.
    if (blocks[b] > 0 && (after > target || b == blockCount - 1)) {
      double running = before;
      for (int i = b * kChain; i < (b + 1) * kChain && i < vocab; i++) {
        if (e[i] == 0) continue;
        last = i;
        running += e[i];
        if (running > target) return i;
      }
      return last;
    }
    before = after;
  }
  // Only when the last block holds nothing: the last possible token before it.
  for (int i = vocab - 1; i >= 0; i--) {
    if (e[i] > 0) return i;
  }
  return last;
}

/// The ids that the filters keep, in id order.
void keep(const float* logits, int vocab, const Draw& draw, DrawSpace& space) {
  const float* e = space.e.data();
  std::vector<int32_t>& ids = space.kept;
  ids.clear();
  for (int i = 0; i < vocab; i++) {
    if (e[i] > 0) ids.push_back(i);
  }
  const auto lessLikely = [logits](int32_t a, int32_t b) {
    return logits[a] < logits[b] || (logits[a] == logits[b] && a > b);
  };
  if (draw.topK > 0 && static_cast<size_t>(draw.topK) < ids.size()) {
    std::nth_element(ids.begin(), ids.begin() + draw.topK, ids.end(),
                     [&](int32_t a, int32_t b) { return lessLikely(b, a); });
    ids.resize(static_cast<size_t>(draw.topK));
    std::sort(ids.begin(), ids.end());
  }
  if (draw.topP < 1) {
    double total = 0, held = 0;
    for (const int32_t id : ids) total += e[id];
    std::make_heap(ids.begin(), ids.end(), lessLikely);
    // The likeliest come off the heap one by one and gather behind it.
    auto rest = ids.end();
    while (rest != ids.begin() && held < draw.topP * total) {
      std::pop_heap(ids.begin(), rest, lessLikely);
      held += e[*--rest];
    }
    ids.erase(ids.begin(), rest);
    std::sort(ids.begin(), ids.end());
  }
  // The likeliest has e = 1.
  std::erase_if(ids, [&](int32_t id) { return e[id] < draw.minP; });
}

int32_t drawKept(const DrawSpace& space, double uniform) {
  double total = 0, running = 0;
  for (const int32_t id : space.kept) total += space.e.data()[id];
  for (const int32_t id : space.kept) {
    running += space.e.data()[id];
    if (running > uniform * total) return id;
  }
  return space.kept.back();
}

}  // namespace

DrawSpace::DrawSpace(int vocab)
    : e(static_cast<size_t>(padToLanes(vocab))), blocks(static_cast<size_t>((vocab + kChain - 1) / kChain)) {}

double uniformAt(uint64_t seed, uint64_t position) {
  return static_cast<double>(splitmix64(seed ^ splitmix64(position)) >> 11) * 0x1p-53;
}

int32_t drawToken(const float* logits, int vocab, const LogitsRow& row, const Draw& draw, DrawSpace& space) {
  if (draw.temperature == 0) return greedy(logits, vocab, row.maximum);
  temperedRow(logits, vocab, row.maximum, draw.temperature, space.e.data(), space.blocks.data());
  const double uniform = uniformAt(draw.seed, draw.position);
  if (!draw.truncates()) return drawWhole(vocab, space, uniform);
  keep(logits, vocab, draw, space);
  return drawKept(space, uniform);
}

}  // namespace espalier

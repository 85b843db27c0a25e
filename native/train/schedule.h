// How a trie is executed: spans become pieces of at most 128 tokens, subtrees are dealt to gradient lanes.
//
// Invariants:
// 1. Pieces stand in depth-first order; a piece's tokens are consecutive in the plan and in position.
// 2. The schedule depends on the plan and the lane count alone, never on threads: it fixes the order of every sum.
// 3. Every piece is in exactly one place: the trunk (ancestors that lanes share) or one unit (a subtree of one lane).
#pragma once

#include <cstdint>
#include <vector>

#include "plan.h"

namespace espalier {

/// Rows of the largest matrix call, and of a batch of weight gradients.
inline constexpr int kPieceRows = 128;

struct Piece {
  int32_t firstToken;
  int32_t rows;
  int32_t parent;  // piece, or -1
  int32_t firstPosition;
  int32_t firstTerm;
  int32_t endTerm;
  int32_t end;  // one past the last piece of the subtree
};

/// A subtree: pieces [first, end).
struct Unit {
  int32_t first;
  int32_t end;
};

struct Schedule {
  std::vector<Piece> pieces;
  std::vector<int32_t> trunkLane;      // [pieces]: the lane that runs a trunk piece, -1 for others
  std::vector<std::vector<Unit>> lanes;
  int32_t longestPath = 0;  // tokens
};

/// Throws std::invalid_argument with one clear line when the layout of TrieBatch is broken, an id is outside
/// [0, vocab), a path is longer than `contextLength`, or a number that must be finite is not.
void checkPlan(const TrainPlan& plan, int vocab, int contextLength);

Schedule makeSchedule(const TrainPlan& plan, int laneCount);

}  // namespace espalier

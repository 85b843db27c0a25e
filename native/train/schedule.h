// How a trie is executed: spans become pieces of at most 128 tokens, short leaves of one parent share a piece, subtrees
// are dealt to gradient lanes.
//
// Invariants:
// 1. Pieces stand in depth-first order; a piece's tokens are consecutive in the plan, a branch's in position too.
// 2. The schedule depends on the plan and the lane count alone, never on threads: it fixes the order of every sum.
// 3. A piece of several branches has no children, and at most 1 / 20 of the longest path's tokens: what is alive beside
//    the one path stays small.
// 4. Every piece is in exactly one place: the trunk (ancestors that lanes share) or one unit (a subtree of one lane).
#pragma once

#include <cstdint>
#include <vector>

#include "plan.h"

namespace espalier {

/// Rows of the largest matrix call, and of a batch of weight gradients.
inline constexpr int kPieceRows = 128;
/// Branches that share a piece hold at most this part of the longest path.
inline constexpr int kSharedPart = 20;

/// A run of tokens in consecutive positions, the first after the piece's parent: rows [firstRow, firstRow + rows).
struct Branch {
  int32_t firstRow;
  int32_t rows;
};

struct Piece {
  int32_t firstToken;
  int32_t rows;
  int32_t parent;  // piece, or -1
  int32_t firstPosition;
  int32_t firstTerm;
  int32_t endTerm;
  int32_t end;  // one past the last piece of the subtree
  int32_t firstBranch;
  int32_t endBranch;
  bool shared() const { return endBranch - firstBranch > 1; }
};

/// A subtree: pieces [first, end).
struct Unit {
  int32_t first;
  int32_t end;
};

struct Schedule {
  std::vector<Piece> pieces;
  std::vector<Branch> branches;
  std::vector<int32_t> trunkLane;      // [pieces]: the lane that runs a trunk piece, -1 for others
  std::vector<std::vector<Unit>> lanes;
  int32_t longestPath = 0;  // tokens
};

/// Throws std::invalid_argument with one clear line when the layout of TrieBatch is broken, an id is outside
/// [0, vocab), a path is longer than `contextLength`, or a number that must be finite is not.
void checkPlan(const TrainPlan& plan, int vocab, int contextLength);

Schedule makeSchedule(const TrainPlan& plan, int laneCount);

}  // namespace espalier

#include "schedule.h"

#include <algorithm>

namespace espalier {
namespace {

/// Tokens from the root to the end of the deepest span.
int32_t longestPath(const TrainPlan& plan) {
  std::vector<int32_t> end(plan.spanCount());
  int32_t longest = 0;
  for (int s = 0; s < plan.spanCount(); s++) {
    const int parent = plan.spanParent[s];
    end[s] = (parent < 0 ? 0 : end[parent]) + plan.spanStart[s + 1] - plan.spanStart[s];
    longest = std::max(longest, end[s]);
  }
  return longest;
}

/// Chains of spans without a fork are one run of tokens; runs are cut evenly into pieces. A short run that ends in a leaf
/// joins the piece before it when that is made of such runs under the same parent.
void cutPieces(const TrainPlan& plan, Schedule& schedule) {
  const int spans = plan.spanCount();
  const int shareRows = std::min(kPieceRows, schedule.longestPath / kSharedPart);
  std::vector<int> children(spans, 0);
  for (int parent : plan.spanParent) {
    if (parent >= 0) children[parent]++;
  }
  std::vector<Piece>& pieces = schedule.pieces;
  std::vector<Branch>& branches = schedule.branches;
  std::vector<int> lastPiece(spans);  // of the run that holds the span
  int term = 0;
  const auto takeTerms = [&](int end) {
    while (term < plan.terms() && plan.termNode[term] < end) term++;
    return term;
  };
  for (int s = 0; s < spans;) {
    int last = s;
    while (last + 1 < spans && children[last] == 1 && plan.spanParent[last + 1] == last) last++;
    const int from = plan.spanStart[s], count = plan.spanStart[last + 1] - from;
    const int cuts = (count + kPieceRows - 1) / kPieceRows;
    int parent = plan.spanParent[s] < 0 ? -1 : lastPiece[plan.spanParent[s]];
    // The piece before it has the same parent only if it is a whole run without children.
    if (!pieces.empty() && pieces.back().parent == parent && children[last] == 0 &&
        pieces.back().rows + count <= shareRows) {
      Piece& shared = pieces.back();
      branches.push_back({shared.rows, count});
      shared.rows += count;
      shared.endBranch++;
      shared.endTerm = takeTerms(from + count);
      s = last + 1;
      continue;
    }
    for (int cut = 0; cut < cuts; cut++) {
      const int begin = from + static_cast<int>(static_cast<int64_t>(count) * cut / cuts);
      const int end = from + static_cast<int>(static_cast<int64_t>(count) * (cut + 1) / cuts);
      const int firstTerm = term, branch = static_cast<int>(branches.size());
      const int position = parent < 0 ? 0 : pieces[parent].firstPosition + pieces[parent].rows;
      branches.push_back({0, end - begin});
      pieces.push_back({begin, end - begin, parent, position, firstTerm, takeTerms(end), 0, branch, branch + 1});
      parent = static_cast<int>(pieces.size()) - 1;
    }
    for (int span = s; span <= last; span++) lastPiece[span] = parent;
    s = last + 1;
  }
  for (int p = static_cast<int>(pieces.size()) - 1; p >= 0; p--) {
    Piece& piece = pieces[p];
    piece.end = std::max(piece.end, p + 1);
    if (piece.parent >= 0) pieces[piece.parent].end = std::max(pieces[piece.parent].end, piece.end);
  }
}

struct Deal {
  std::vector<int> unitLane;
  int64_t cost;  // tokens on the slowest lane: its trunk, then its units
};

class Dealer {
 public:
  Dealer(const std::vector<Piece>& pieces, int laneCount) : pieces_(pieces), lanes_(laneCount), tokens_(pieces.size()) {
    for (int p = static_cast<int>(pieces.size()) - 1; p >= 0; p--) {
      tokens_[p] += pieces[p].rows;
      if (pieces[p].parent >= 0) tokens_[pieces[p].parent] += tokens_[p];
    }
  }

  /// Units in depth-first order, each to the lane with the fewest tokens so far; whole trunks of one root likewise.
  Deal deal(const std::vector<char>& trunk, std::vector<int32_t>* trunkLane) const {
    std::vector<int64_t> load(lanes_, 0), trunkLoad(lanes_, 0);
    Deal result{{}, 0};
    int lane = 0;
    for (size_t p = 0; p < pieces_.size(); p++) {
      if (!trunk[p]) continue;
      if (pieces_[p].parent < 0) lane = lightest(trunkLoad);
      trunkLoad[lane] += pieces_[p].rows;
      if (trunkLane != nullptr) (*trunkLane)[p] = lane;
    }
    for (int unit : units(trunk)) {
      const int to = lightest(load);
      load[to] += tokens_[unit];
      result.unitLane.push_back(to);
    }
    result.cost = *std::max_element(trunkLoad.begin(), trunkLoad.end()) + *std::max_element(load.begin(), load.end());
    return result;
  }

  std::vector<int> units(const std::vector<char>& trunk) const {
    std::vector<int> roots;
    for (size_t p = 0; p < pieces_.size(); p++) {
      const int parent = pieces_[p].parent;
      if (!trunk[p] && (parent < 0 || trunk[parent])) roots.push_back(static_cast<int>(p));
    }
    return roots;
  }

  /// Moves the tops of heavy subtrees, down to their fork, into the trunk while that shortens the slowest lane.
  std::vector<char> chooseTrunk() const {
    std::vector<char> trunk(pieces_.size(), 0);
    int64_t cost = deal(trunk, nullptr).cost;
    while (true) {
      const std::vector<int> roots = units(trunk);
      int at = *std::max_element(roots.begin(), roots.end(), [&](int a, int b) { return tokens_[a] < tokens_[b]; });
      std::vector<char> wider = trunk;
      // An only child follows its parent at once; more than one child ends the top.
      while (at + 1 < pieces_[at].end) {
        wider[at] = 1;
        if (pieces_[at + 1].end < pieces_[at].end) break;
        at++;
      }
      const int64_t widerCost = deal(wider, nullptr).cost;
      if (widerCost * 100 > cost * 98) return trunk;
      trunk = wider;
      cost = widerCost;
    }
  }

 private:
  static int lightest(const std::vector<int64_t>& load) {
    return static_cast<int>(std::min_element(load.begin(), load.end()) - load.begin());
  }

  const std::vector<Piece>& pieces_;
  int lanes_;
  std::vector<int64_t> tokens_;  // of the subtree
};

}  // namespace

Schedule makeSchedule(const TrainPlan& plan, int laneCount) {
  Schedule schedule;
  schedule.longestPath = longestPath(plan);
  cutPieces(plan, schedule);
  const Dealer dealer(schedule.pieces, laneCount);
  const std::vector<char> trunk = dealer.chooseTrunk();
  schedule.trunkLane.assign(schedule.pieces.size(), -1);
  const Deal deal = dealer.deal(trunk, &schedule.trunkLane);
  const std::vector<int> units = dealer.units(trunk);
  schedule.lanes.resize(laneCount);
  for (size_t u = 0; u < units.size(); u++) {
    schedule.lanes[deal.unitLane[u]].push_back({units[u], schedule.pieces[units[u]].end});
  }
  return schedule;
}

}  // namespace espalier

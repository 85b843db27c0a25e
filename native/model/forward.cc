#include "forward.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "../kernels/draw.h"
#include "../kernels/pool.h"

namespace espalier {
namespace {

/// Rows that run through a layer together: enough to fill the kernels, few enough to stay in the second-level cache.
constexpr int kChunkRows = 96;
/// Rows of logits made at once.
constexpr int kHeadRows = 48;

/// Buffers of one slice, reused by every layer and chunk.
class Workspace {
 public:
  Workspace(const Shape& shape, int rows, int lastPosition)
      : residual_(floats(rows, shape.hiddenSize)),
        normed_(floats(rows, shape.hiddenSize)),
        qkv_(floats(rows, shape.qkvWidth())),
        rotated_(floats(rows, shape.queryWidth() + shape.kvWidth())),
        attention_(floats(rows, shape.queryWidth())),
        gateUp_(floats(rows, 2 * shape.intermediateSize)),
        activation_(floats(rows, shape.intermediateSize)),
        scratch_(attentionScratch(lastPosition)) {}

  float* residual() { return residual_.data(); }
  float* normed() { return normed_.data(); }

  LayerRows rows() {
    LayerRows to{};
    to.residual = to.middle = to.next = residual_.data();
    to.normed = to.postNormed = normed_.data();
    to.qkv = qkv_.data();
    to.rotated = rotated_.data();
    to.attention = attention_.data();
    to.gateUp = gateUp_.data();
    to.activation = activation_.data();
    to.scratch = scratch_.data();
    return to;
  }

 private:
  static AlignedFloats floats(int rows, int width) { return AlignedFloats(static_cast<size_t>(rows) * width); }
  AlignedFloats residual_, normed_, qkv_, rotated_, attention_, gateUp_, activation_, scratch_;
};

void runLayers(const Weights& weights, Cache& cache, const std::vector<RowSpan>& spans, const int32_t* tokens, int rows,
               Workspace& space) {
  embedRows(weights, tokens, rows, space.residual());
  for (int layer = 0; layer < weights.shape.layerCount; layer++) {
    forwardLayer(weights, layer, cache, spans.data(), static_cast<int>(spans.size()), rows, space.rows());
  }
}

/// One sequence's last new token, waiting for its logits.
struct Pending {
  int sequence;
  int row;
};

/// Runs the sequences [first, end) of a plan.
class Slice {
 public:
  Slice(const Weights& weights, Cache& cache, const ForwardPlan& plan, int first, int end, ForwardResult& result)
      : weights_(weights), cache_(cache), plan_(plan), first_(first), end_(end), result_(result) {}

  void run() {
    const int tokens = plan_.tokenStart[end_] - plan_.tokenStart[first_];
    if (tokens == 0) return;
    int lastPosition = 0;
    for (int b = first_; b < end_; b++) {
      lastPosition = std::max(lastPosition, plan_.firstPosition[b] + newTokens(b) - 1);
    }
    Workspace space(weights_.shape, std::min(tokens, kChunkRows), lastPosition);
    int sequence = first_, done = 0;
    for (int from = plan_.tokenStart[first_]; from < plan_.tokenStart[end_];) {
      std::vector<RowSpan> spans;
      std::vector<Pending> pending;
      int rows = 0;
      while (rows < kChunkRows && sequence < end_) {
        const int take = std::min(kChunkRows - rows, newTokens(sequence) - done);
        if (take > 0) {
          spans.push_back({rows, take, plan_.firstPosition[sequence] + done,
                           plan_.blocks.data() + plan_.blockStart[sequence]});
        }
        rows += take;
        done += take;
        if (done < newTokens(sequence)) break;
        if (plan_.draw[sequence] != 0 && take > 0) pending.push_back({sequence, rows - 1});
        sequence++;
        done = 0;
      }
      runLayers(weights_, cache_, spans, plan_.tokens.data() + from, rows, space);
      from += rows;
      if (!pending.empty()) drawAll(pending, space);
    }
  }

 private:
  int newTokens(int sequence) const { return plan_.tokenStart[sequence + 1] - plan_.tokenStart[sequence]; }

  void drawAll(const std::vector<Pending>& pending, Workspace& work) {
    const int hidden = weights_.shape.hiddenSize, vocab = weights_.shape.vocabSize;
    const int count = static_cast<int>(pending.size());
    // Rows move towards the front only, so none is overwritten before it is read.
    for (int i = 0; i < count; i++) {
      std::copy_n(work.residual() + static_cast<ptrdiff_t>(pending[i].row) * hidden, hidden,
                  work.residual() + static_cast<ptrdiff_t>(i) * hidden);
    }
    finalNorm(weights_, work.residual(), count, work.normed(), nullptr);
    AlignedFloats rowsOfLogits(static_cast<size_t>(std::min(count, kHeadRows)) * vocab);
    DrawSpace space(vocab);
    for (int from = 0; from < count; from += kHeadRows) {
      const int rows = std::min(kHeadRows, count - from);
      headLogits(weights_, work.normed() + static_cast<ptrdiff_t>(from) * hidden, rows, rowsOfLogits.data());
      for (int i = 0; i < rows; i++) {
        drawOne(pending[from + i].sequence, rowsOfLogits.data() + static_cast<ptrdiff_t>(i) * vocab, space);
      }
    }
  }

  void drawOne(int sequence, const float* row, DrawSpace& space) {
    const int vocab = weights_.shape.vocabSize;
    const LogitsRow read = logprobRow(row, vocab);
    const uint64_t position = static_cast<uint64_t>(plan_.firstPosition[sequence] + newTokens(sequence));
    const Draw draw{plan_.temperature[sequence], plan_.topK[sequence], plan_.topP[sequence],
                    plan_.minP[sequence],        plan_.seed[sequence], position};
    const int32_t id = drawToken(row, vocab, read, draw, space);
    result_.ids[sequence] = id;
    result_.logprobs[sequence] = read.logprob(row[id]);
    result_.entropies[sequence] = read.entropy;
  }

  const Weights& weights_;
  Cache& cache_;
  const ForwardPlan& plan_;
  const int first_, end_;
  ForwardResult& result_;
};

/// Boundaries of `parts` runs of sequences with about equal token counts.
std::vector<int> balance(const ForwardPlan& plan, int parts) {
  const int sequences = plan.sequences();
  const int64_t tokens = plan.tokenStart[sequences];
  std::vector<int> bounds{0};
  for (int part = 1; part < parts; part++) {
    int next = bounds.back();
    while (next < sequences && plan.tokenStart[next + 1] * static_cast<int64_t>(parts) <= tokens * part) next++;
    bounds.push_back(next);
  }
  bounds.push_back(sequences);
  return bounds;
}

/// The flat forward, chunk by chunk: `take(firstRow, rows, normed)` gets each chunk's final normed rows.
void flat(const Weights& weights, const std::vector<int32_t>& ids,
          const std::function<void(int, int, const float*)>& take) {
  const int length = static_cast<int>(ids.size());
  const int blockCount = (length + kBlockTokens - 1) / kBlockTokens;
  Cache cache(weights.shape, blockCount);
  std::vector<int32_t> blocks(static_cast<size_t>(blockCount));
  std::iota(blocks.begin(), blocks.end(), 0);
  Workspace space(weights.shape, std::min(length, kHeadRows), length - 1);
  for (int from = 0; from < length; from += kHeadRows) {
    const int rows = std::min(kHeadRows, length - from);
    runLayers(weights, cache, {{0, rows, from, blocks.data()}}, ids.data() + from, rows, space);
    finalNorm(weights, space.residual(), rows, space.normed(), nullptr);
    take(from, rows, space.normed());
  }
}

std::string number(int64_t value) { return std::to_string(value); }

}  // namespace

std::string planFault(const Shape& shape, const Cache& cache, const ForwardPlan& plan) {
  if (!cache.fits(shape)) return "the cache was made for another model shape than the weights";
  const size_t sequences = plan.firstPosition.size();
  if (plan.tokenStart.size() != sequences + 1 || plan.blockStart.size() != sequences + 1 ||
      plan.draw.size() != sequences || plan.temperature.size() != sequences || plan.topK.size() != sequences ||
      plan.topP.size() != sequences || plan.minP.size() != sequences || plan.seed.size() != sequences) {
    return "plan arrays disagree on the number of sequences (" + number(static_cast<int64_t>(sequences)) +
           " in firstPosition)";
  }
  if (plan.tokenStart.front() != 0 || plan.tokenStart.back() != static_cast<int64_t>(plan.tokens.size())) {
    return "tokenStart must run from 0 to the token count " + number(static_cast<int64_t>(plan.tokens.size()));
  }
  if (plan.blockStart.front() != 0 || plan.blockStart.back() != static_cast<int64_t>(plan.blocks.size())) {
    return "blockStart must run from 0 to the block count " + number(static_cast<int64_t>(plan.blocks.size()));
  }
  for (const int32_t block : plan.blocks) {
    if (block < 0 || block >= cache.blockCount()) {
      return "block " + number(block) + " is not in the cache of " + number(cache.blockCount()) + " blocks";
    }
  }
  for (const int32_t token : plan.tokens) {
    if (token < 0 || token >= shape.vocabSize) {
      return "token id " + number(token) + " is not in the vocabulary of " + number(shape.vocabSize);
    }
  }
  for (size_t b = 0; b < sequences; b++) {
    const int64_t tokens = static_cast<int64_t>(plan.tokenStart[b + 1]) - plan.tokenStart[b];
    const int64_t blocks = static_cast<int64_t>(plan.blockStart[b + 1]) - plan.blockStart[b];
    const int64_t end = plan.firstPosition[b] + tokens;
    if (tokens < 0 || blocks < 0 || plan.firstPosition[b] < 0) {
      return "sequence " + number(static_cast<int64_t>(b)) + " has a negative position or count";
    }
    if (tokens > 0 && end > shape.contextLength) {
      return "position " + number(end - 1) + " is past the context length " + number(shape.contextLength);
    }
    if (tokens > 0 && end > blocks * kBlockTokens) {
      return "sequence " + number(static_cast<int64_t>(b)) + " needs room for " + number(end) + " positions but has " +
             number(blocks) + " blocks of " + number(kBlockTokens);
    }
    if (plan.draw[b] != 0 && tokens == 0) {
      return "sequence " + number(static_cast<int64_t>(b)) + " brings no token to draw after";
    }
    if (plan.draw[b] != 0 && !(plan.temperature[b] >= 0)) {
      return "temperature of sequence " + number(static_cast<int64_t>(b)) + " is not a number >= 0";
    }
    const bool filters = plan.topK[b] >= 0 && plan.topP[b] > 0 && plan.topP[b] <= 1 && plan.minP[b] >= 0 &&
                         plan.minP[b] <= 1;
    if (plan.draw[b] != 0 && !filters) {
      return "sequence " + number(static_cast<int64_t>(b)) + " needs topK >= 0, 0 < topP <= 1 and 0 <= minP <= 1";
    }
  }
  return "";
}

std::string idsFault(const Shape& shape, const std::vector<int32_t>& ids) {
  if (static_cast<int64_t>(ids.size()) > shape.contextLength) {
    return number(static_cast<int64_t>(ids.size())) + " ids exceed the context length " + number(shape.contextLength);
  }
  for (const int32_t id : ids) {
    if (id < 0 || id >= shape.vocabSize) {
      return "token id " + number(id) + " is not in the vocabulary of " + number(shape.vocabSize);
    }
  }
  return "";
}

ForwardResult forward(const Weights& weights, Cache& cache, const ForwardPlan& plan) {
  const int sequences = plan.sequences();
  const auto count = static_cast<size_t>(sequences);
  ForwardResult result{std::vector<int32_t>(count, -1), std::vector<float>(count), std::vector<float>(count)};
  const int parts = std::max(1, std::min(threads(), sequences));
  const std::vector<int> bounds = balance(plan, parts);
  parallelFor(parts, [&](int part) {
    Slice(weights, cache, plan, bounds[part], bounds[part + 1], result).run();
  });
  return result;
}

std::vector<float> score(const Weights& weights, const std::vector<int32_t>& ids) {
  const int vocab = weights.shape.vocabSize;
  const int targets = static_cast<int>(ids.size()) - 1;
  std::vector<float> logprobs(static_cast<size_t>(std::max(0, targets)));
  AlignedFloats rowsOfLogits(static_cast<size_t>(kHeadRows) * vocab);
  flat(weights, ids, [&](int firstRow, int rows, const float* normed) {
    const int wanted = std::min(rows, targets - firstRow);
    if (wanted <= 0) return;
    headLogits(weights, normed, wanted, rowsOfLogits.data());
    for (int i = 0; i < wanted; i++) {
      const float* row = rowsOfLogits.data() + static_cast<ptrdiff_t>(i) * vocab;
      logprobs[firstRow + i] = logprobRow(row, vocab).logprob(row[ids[firstRow + i + 1]]);
    }
  });
  return logprobs;
}

std::vector<float> logits(const Weights& weights, const std::vector<int32_t>& ids) {
  const size_t vocab = static_cast<size_t>(weights.shape.vocabSize);
  std::vector<float> all(ids.size() * vocab);
  flat(weights, ids, [&](int firstRow, int rows, const float* normed) {
    headLogits(weights, normed, rows, all.data() + static_cast<size_t>(firstRow) * vocab);
  });
  return all;
}

}  // namespace espalier

#include "engine/model/transformer.h"

#include <algorithm>

#include "engine/model/rope_options.h"

namespace strata {

namespace {

bool is_quantised(TensorType type) { return tensor_traits(type).block_values > 1; }

void scale(float* x, int64_t n, float by) {
    for (int64_t i = 0; by != 1 && i < n; ++i) x[i] *= by;
}

}  // namespace

Transformer::Transformer(const Model& model, KvCache& cache, int distance_clamp, const Kernels& kernels,
                         ThreadPool& pool)
    : c_(model.config()),
      w_(model.weights()),
      cache_(cache),
      kernels_(kernels),
      pool_(pool),
      rope_(rope_options(c_, w_.rope_factors, distance_clamp)),
      local_rope_(local_rope_options(c_)),
      attention_(cache, c_.n_heads, kMaxBatch, kernels, pool, {c_.query_scale, c_.score_cap}) {
    cache.prepare_for(kernels);
    const size_t batch = kMaxBatch, d = size_t(c_.d_model), ffn = size_t(c_.d_ffn);
    const size_t q = size_t(c_.n_heads) * size_t(c_.head_dim), kv = size_t(c_.n_kv_heads) * size_t(c_.head_dim);
    for (auto* rows : {&x_, &normed_, &delta_}) rows->resize(batch * d);
    for (auto* rows : {&q_, &mixed_}) rows->resize(batch * q);
    for (auto* rows : {&k_, &v_}) rows->resize(batch * kv);
    for (auto* rows : {&gate_, &up_}) rows->resize(batch * ffn);
    const size_t widest = std::max({d, q, ffn});
    quantised_.resize(batch * widest * kernels.activation_bytes);
    scales_.resize(batch * (widest / 32 + 1));
    sums_.resize(batch * size_t(n_activation_sums(int64_t(widest))));
    logits_.resize(size_t(c_.n_vocab));
}

uint64_t Transformer::needed_bytes(const ModelConfig& c, const Kernels& kernels) {
    const uint64_t d = uint64_t(c.d_model), ffn = uint64_t(c.d_ffn);
    const uint64_t q = uint64_t(c.n_heads) * uint64_t(c.head_dim), kv = uint64_t(c.n_kv_heads) * uint64_t(c.head_dim);
    const uint64_t widest = std::max({d, q, ffn});
    const uint64_t sums = uint64_t(n_activation_sums(int64_t(widest)));
    const uint64_t floats =
        kMaxBatch * (3 * d + 4 * q + 2 * kv + 2 * ffn + widest / 32 + sums) + 2 * uint64_t(c.n_vocab);
    return floats * sizeof(float) + kMaxBatch * widest * kernels.activation_bytes;
}

uint64_t Transformer::scratch_bytes() const {
    uint64_t floats = 0;
    for (const auto* rows : {&x_, &normed_, &q_, &k_, &v_, &mixed_, &gate_, &up_, &delta_, &scales_, &sums_, &logits_})
        floats += rows->size();
    return floats * sizeof(float) + quantised_.size() + rope_.bytes() + local_rope_.bytes() +
           attention_.scratch_bytes();
}

void Transformer::begin(std::span<const int> tokens) {
    CHECK(tokens.size() >= 1 && tokens.size() <= size_t(kMaxBatch));
    n_tokens_ = int(tokens.size());
    next_layer_ = 0;
    embed(tokens);
}

bool Transformer::run(int layers) {
    const int end = std::min(std::max(layers, 1), c_.n_layers - next_layer_) + next_layer_;
    for (; next_layer_ < end; ++next_layer_) {
        const LayerWeights& w = w_.layers[size_t(next_layer_)];
        attention_part(w, next_layer_, n_tokens_);
        feed_forward_part(w, n_tokens_);
    }
    return next_layer_ == c_.n_layers;
}

std::span<const float> Transformer::finish(Logits which) {
    CHECK(next_layer_ == c_.n_layers);
    const int n = n_tokens_;
    const float* normed = normalised(w_.output_norm, n);
    const int wanted = which == Logits::all ? n : 1;
    const size_t size = size_t(wanted) * size_t(c_.n_vocab);
    if (logits_.size() < size) logits_.resize(size_t(kMaxBatch) * size_t(c_.n_vocab));
    multiply(ForwardPart::head, {normed + int64_t(n - wanted) * c_.d_model, wanted, c_.d_model},
             {{&w_.head, logits_.data()}});
    scale(logits_.data(), int64_t(size), c_.logit_scale);
    if (c_.logit_cap > 0) kernels_.soft_cap(logits_.data(), int64_t(size), c_.logit_cap);
    return {logits_.data(), size};
}

void Transformer::embed(std::span<const int> tokens) {
    const TimedPart timed(profile_, ForwardPart::embed);
    const TensorTraits& traits = tensor_traits(w_.embedding.type);
    for (size_t t = 0; t < tokens.size(); ++t)
        traits.decode(w_.embedding.data + tokens[t] * w_.embedding.row_bytes(), x_.data() + t * size_t(c_.d_model),
                      c_.d_model);
    scale(x_.data(), int64_t(tokens.size()) * c_.d_model, c_.embedding_scale);
}

AttentionLayer Transformer::attention_layer(int layer) const {
    const bool local = c_.is_local(layer);
    const Rope* rope = !c_.is_rotated(layer) ? nullptr : local ? &local_rope_ : &rope_;
    return {layer, rope, local ? c_.window : 0};
}

// x += output(attention(norm(x)))
void Transformer::attention_part(const LayerWeights& w, int layer, int n) {
    const AttentionLayer attention = attention_layer(layer);
    multiply(ForwardPart::query_key_value, {normalised(w.attention_norm, n), n, c_.d_model},
             {{&w.query, q_.data()}, {&w.key, k_.data()}, {&w.value, v_.data()}});
    add_bias(w.query_bias, q_.data(), n);
    add_bias(w.key_bias, k_.data(), n);
    add_bias(w.value_bias, v_.data(), n);
    normalise_rows(w.query_norm, q_.data(), n, w.query.rows);
    normalise_rows(w.key_norm, k_.data(), n, w.key.rows);
    if (attention.rope) {
        rotate(*attention.rope, q_.data(), n, c_.n_heads);
        rotate(*attention.rope, k_.data(), n, c_.n_kv_heads);
    }
    {
        const TimedPart timed(profile_, ForwardPart::cache);
        pool_.for_rows(c_.n_kv_heads, 1, [&](int64_t begin, int64_t end, int) {
            for (int64_t head = begin; head < end; ++head) cache_.write(layer, int(head), n, k_.data(), v_.data());
        });
    }
    {
        const TimedPart timed(profile_, ForwardPart::attention);
        attention_.attend(attention, cache_.position(), n, q_.data(), mixed_.data());
    }
    multiply(ForwardPart::output, {mixed_.data(), n, c_.n_heads * c_.head_dim}, {{&w.output, delta_.data()}});
    add_bias(w.output_bias, delta_.data(), n);
    add_to_residual(w.attention_post_norm, n);
}

// x += down(activation(gate(norm(x))) * up(norm(x)))
void Transformer::feed_forward_part(const LayerWeights& w, int n) {
    multiply(ForwardPart::gate_up, {normalised(w.ffn_norm, n), n, c_.d_model},
             {{&w.gate, gate_.data()}, {&w.up, up_.data()}});
    activate(n);
    multiply(ForwardPart::down, {gate_.data(), n, c_.d_ffn}, {{&w.down, delta_.data()}});
    add_to_residual(w.ffn_post_norm, n);
}

void Transformer::activate(int n) {
    const TimedPart timed(profile_, ForwardPart::activate);
    const auto fn = c_.activation == Activation::gelu ? kernels_.gelu_mul : kernels_.silu_mul;
    for_tokens(n, [&](int64_t t) {
        float* gate = gate_.data() + t * c_.d_ffn;
        fn(gate, up_.data() + t * c_.d_ffn, gate, c_.d_ffn);
    });
}

// x += scale * norm(delta)
void Transformer::add_to_residual(const std::vector<float>& post_norm, int n) {
    normalise_rows(post_norm, delta_.data(), n, c_.d_model);
    const TimedPart timed(profile_, ForwardPart::residual);
    for_tokens(n, [&](int64_t t) {
        float* delta = delta_.data() + t * c_.d_model;
        scale(delta, c_.d_model, c_.residual_scale);
        kernels_.add(x_.data() + t * c_.d_model, delta, c_.d_model);
    });
}

const float* Transformer::normalised(const std::vector<float>& weight, int n) {
    if (weight.empty()) return x_.data();
    const TimedPart timed(profile_, ForwardPart::norm);
    for_tokens(n, [&](int64_t t) {
        kernels_.rms_norm(x_.data() + t * c_.d_model, weight.data(), normed_.data() + t * c_.d_model, c_.d_model,
                          c_.norm_epsilon);
    });
    return normed_.data();
}

// rows: (n, width), in place, in stretches as long as the weight.
void Transformer::normalise_rows(const std::vector<float>& weight, float* rows, int n, int64_t width) const {
    const int64_t size = int64_t(weight.size());
    if (size == 0) return;
    const TimedPart timed(profile_, ForwardPart::norm);
    for_tokens(n, [&](int64_t t) {
        for (float* row = rows + t * width; row < rows + (t + 1) * width; row += size)
            kernels_.rms_norm(row, weight.data(), row, size, c_.norm_epsilon);
    });
}

// rows: (n, bias)
void Transformer::add_bias(const std::vector<float>& bias, float* rows, int n) const {
    const int64_t size = int64_t(bias.size());
    for (int t = 0; size > 0 && t < n; ++t) kernels_.add(rows + t * size, bias.data(), size);
}

// The input's rows as a matrix of quantised weights reads them, and the sums that some types want.
void Transformer::quantise(const Input& input, bool sums) {
    const TimedPart timed(profile_, ForwardPart::quantise);
    for_tokens(input.n, [&](int64_t t) {
        uint8_t* row = quantised_.data() + size_t(t) * size_t(input.cols) * kernels_.activation_bytes;
        kernels_.quantise_row(input.x + t * input.cols, row, scales_.data() + t * (input.cols / 32), input.cols);
        if (sums) kernels_.sum_activations(row, input.cols, sums_.data() + t * n_activation_sums(input.cols));
    });
}

// Several products of one input, in one go over the threads. out: (n, matrix rows)
void Transformer::multiply(ForwardPart part, const Input& input, std::initializer_list<Product> products) {
    const bool quantised =
        std::any_of(products.begin(), products.end(), [](const Product& p) { return is_quantised(p.matrix->type); });
    const bool sums = std::any_of(products.begin(), products.end(),
                                  [](const Product& p) { return reads_activation_sums(p.matrix->type); });
    if (quantised) quantise(input, sums);
    const TimedPart timed(profile_, part);
    int64_t total = 0;
    for (const Product& p : products) total += p.matrix->rows;
    constexpr int64_t kGrain = 16;  // rows: a panel of engine/kernels/panel_products.inl.h, at most
    pool_.for_rows(total, kGrain, [&](int64_t begin, int64_t end, int) {
        int64_t first = 0;  // of this matrix, among the rows of all
        for (const Product& p : products) {
            const int64_t from = std::max(begin, first) - first, to = std::min(end, first + p.matrix->rows) - first;
            if (from < to) {
                const MatmulArgs args{p.matrix->data, input.cols, input.x,        quantised_.data(), scales_.data(),
                                      input.n,        p.out,      p.matrix->rows, sums_.data()};
                kernels_.matmul(p.matrix->type)(args, from, to);
            }
            first += p.matrix->rows;
        }
    });
}

// rows: (n, n_heads, head_dim), of the next n positions. Attention turns the queries on from there: see Rope.
void Transformer::rotate(const Rope& rope, float* rows, int n, int n_heads) const {
    const TimedPart timed(profile_, ForwardPart::rope);
    for_tokens(n, [&](int64_t t) {
        float* head = rows + t * n_heads * c_.head_dim;
        for (int h = 0; h < n_heads; ++h, head += c_.head_dim) rope.turn_inside_chunk(cache_.position() + t, head);
    });
}

}  // namespace strata

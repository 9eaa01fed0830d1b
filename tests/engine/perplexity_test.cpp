// Perplexity: which tokens each protocol scores, and the sums over them. Golden values: golden_test.cpp.
#include "engine/eval/perplexity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/engine/shipped_model.h"
#include "tests/engine/some_tokens.h"

namespace strata {
namespace {

PplOptions with(PplProtocol protocol, int n_ctx = 512) {
    PplOptions options;
    options.protocol = protocol;
    options.n_ctx = n_ctx;
    return options;
}

// What perplexity should find for tokens read from an empty memory: one NLL for each token but the first.
std::vector<float> nll_by_hand(const Model& model, const std::vector<int>& tokens) {
    const auto session = Session::open(model, {});
    EXPECT_TRUE(session);
    std::vector<float> nll;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
        EXPECT_TRUE((*session)->append(std::span(tokens).subspan(i, 1)));
        nll.push_back(float(negative_log_likelihood((*session)->logits(), tokens[i + 1])));
    }
    return nll;
}

TEST(Perplexity, NegativeLogLikelihoodIsMinusLogSoftmax) {
    const std::vector<float> logits{-3, 0.5f, 2, 30, -80, 29.5f};
    double total = 0;
    for (const float logit : logits) total += std::exp(double(logit));
    for (size_t i = 0; i < logits.size(); ++i)
        EXPECT_NEAR(negative_log_likelihood(logits, int(i)), std::log(total) - double(logits[i]), 1e-6) << i;
    EXPECT_NEAR(negative_log_likelihood(std::vector<float>(4096, -1000.0f), 17), std::log(4096.0), 1e-6);
}

TEST(Perplexity, SingleScoresEveryTokenButTheFirst) {
    const auto tokens = uneven_tokens(300);
    const auto result = perplexity(shipped_model(), tokens, with(PplProtocol::single));
    ASSERT_TRUE(result);
    const auto expected = nll_by_hand(shipped_model(), tokens);
    ASSERT_EQ(result->scores.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(result->scores[i].position, int64_t(i));
        EXPECT_EQ(result->scores[i].nll, expected[i]) << i;
    }
    EXPECT_EQ(result->kv.positions, 299);
}

TEST(Perplexity, ChunksScoreTheSecondHalfOfEachFromAnEmptyMemory) {
    const int n_ctx = 100;
    const auto tokens = uneven_tokens(3 * n_ctx + 40);  // what is left over is no chunk
    const auto result = perplexity(shipped_model(), tokens, with(PplProtocol::chunks, n_ctx));
    ASSERT_TRUE(result);
    ASSERT_EQ(result->scores.size(), size_t(3 * (n_ctx / 2 - 1)));
    size_t at = 0;
    for (int chunk = 0; chunk < 3; ++chunk) {
        const auto begin = tokens.begin() + chunk * n_ctx;
        const auto expected = nll_by_hand(shipped_model(), {begin, begin + n_ctx});
        for (size_t position = n_ctx / 2; position < n_ctx - 1; ++position, ++at) {
            EXPECT_EQ(result->scores[at].position, int64_t(position));
            EXPECT_EQ(result->scores[at].nll, expected[position]);
        }
    }
}

TEST(Perplexity, ChunksWithAStrideScoreTheirNewestTokens) {
    const auto tokens = uneven_tokens(130);
    PplOptions options = with(PplProtocol::chunks, 80);
    options.stride = 20;
    const auto result = perplexity(shipped_model(), tokens, options);
    ASSERT_TRUE(result);
    ASSERT_EQ(result->scores.size(), 3u * 20);  // chunks begin at 0, 20 and 40
    for (size_t i = 0; i < 60; ++i) {
        const auto begin = tokens.begin() + std::ptrdiff_t(i / 20 * 20);
        const auto expected = nll_by_hand(shipped_model(), {begin, begin + 80});
        EXPECT_EQ(result->scores[i].position, int64_t(59 + i % 20));
        EXPECT_EQ(result->scores[i].nll, expected[59 + i % 20]);
    }

    options.stride = 80;  // a whole chunk: all but its first token
    const auto whole = perplexity(shipped_model(), uneven_tokens(160), options);
    ASSERT_TRUE(whole);
    ASSERT_EQ(whole->scores.size(), 2u * 79);
    EXPECT_EQ(whole->scores[79].position, 0);
    for (const int stride : {-1, 81}) {
        options.stride = stride;
        EXPECT_FALSE(perplexity(shipped_model(), uneven_tokens(400), options)) << stride;
    }
}

TEST(Perplexity, AModelThatWantsBosSeesItFirst) {
    const std::string bytes = read_file("../shared/data/models/stories260K-f32.gguf");
    if (bytes.empty()) GTEST_SKIP() << "stories260K-f32.gguf is not here";
    const auto model = Model::open(bytes_of(bytes));
    ASSERT_TRUE(model);
    const int bos = (*model)->tokenizer().bos();
    ASSERT_TRUE((*model)->tokenizer().wants_bos());
    std::vector<int> tokens;
    for (int i = 0; i < 79; ++i) tokens.push_back(10 + i * 7 % 400);
    std::vector<int> read{bos};
    read.insert(read.end(), tokens.begin(), tokens.end());

    const auto single = perplexity(**model, tokens, with(PplProtocol::single));
    ASSERT_TRUE(single);
    const auto expected = nll_by_hand(**model, read);
    ASSERT_EQ(single->scores.size(), 79u) << "the first token of the text is predicted from BOS";
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(single->scores[i].nll, expected[i]);

    // As llama-perplexity does it: BOS is part of the first chunk and replaces the first token of the others.
    const auto chunks = perplexity(**model, tokens, with(PplProtocol::chunks, 40));
    ASSERT_TRUE(chunks) << chunks.error().message;
    const auto first = nll_by_hand(**model, {read.begin(), read.begin() + 40});
    std::vector<int> replaced(read.begin() + 40, read.end());
    replaced[0] = bos;
    const auto second = nll_by_hand(**model, replaced);
    ASSERT_EQ(chunks->scores.size(), 38u);
    for (size_t i = 0; i < 19; ++i) {
        EXPECT_EQ(chunks->scores[i].nll, first[20 + i]);
        EXPECT_EQ(chunks->scores[19 + i].nll, second[20 + i]);
    }
}

TEST(Perplexity, SumsOverTheScores) {
    const auto tokens = uneven_tokens(400);
    const auto result = perplexity(shipped_model(), tokens, with(PplProtocol::single));
    ASSERT_TRUE(result);
    double sum = 0, squares = 0, beyond = 0;
    int64_t n_beyond = 0;
    for (const PplScore& score : result->scores) {
        sum += score.nll;
        squares += double(score.nll) * score.nll;
        if (score.position >= 256) beyond += score.nll, ++n_beyond;
    }
    const double n = double(result->scores.size()), mean = sum / n;
    EXPECT_NEAR(result->nll_mean, mean, 1e-9);
    EXPECT_NEAR(result->ppl, std::exp(mean), 1e-6 * result->ppl);
    EXPECT_NEAR(result->ppl_stderr, std::exp(mean) * std::sqrt((squares / n - mean * mean) / (n - 1)),
                1e-6 * result->ppl);
    EXPECT_EQ(result->n_beyond_window, 399 - 256);
    EXPECT_EQ(result->n_beyond_window, n_beyond);
    EXPECT_NEAR(result->nll_mean_beyond_window, beyond / double(n_beyond), 1e-9);
}

TEST(Perplexity, DoesNotDependOnBatchesOrThreads) {
    const auto tokens = uneven_tokens(200);
    PplOptions options = with(PplProtocol::single);
    options.session.kv = {KvType::turbo_kv_4b, KvType::q4_0, 64, 0};
    const auto reference = perplexity(shipped_model(), tokens, options);
    ASSERT_TRUE(reference);
    options.session.threads = 2;
    options.session.micro_batch = 7;
    const auto other = perplexity(shipped_model(), tokens, options);
    ASSERT_TRUE(other);
    EXPECT_TRUE(std::equal(reference->scores.begin(), reference->scores.end(), other->scores.begin(),
                           other->scores.end(), [](const PplScore& a, const PplScore& b) { return a.nll == b.nll; }));
}

TEST(Perplexity, CoarserMemoryChangesTheScoresAndTheBytes) {
    const auto tokens = uneven_tokens(300);
    PplOptions options = with(PplProtocol::single);
    options.session.kv = {KvType::fp32, KvType::fp32, 0, 0};
    const auto exact = perplexity(shipped_model(), tokens, options);
    options.session.kv = {KvType::q4_0, KvType::q4_0, 0, 0};
    const auto coarse = perplexity(shipped_model(), tokens, options);
    ASSERT_TRUE(exact && coarse);
    EXPECT_NE(exact->nll_mean, coarse->nll_mean);
    EXPECT_NEAR(exact->nll_mean, coarse->nll_mean, .1 * exact->nll_mean);
    EXPECT_LT(coarse->kv.bytes * 6, exact->kv.bytes);
}

TEST(Perplexity, ReportsProgressAndCanBeStopped) {
    const auto tokens = uneven_tokens(200);
    PplOptions options = with(PplProtocol::single);
    std::vector<int64_t> seen;
    options.progress = [&](int64_t done, int64_t total) {
        EXPECT_EQ(total, 199);
        seen.push_back(done);
        return true;
    };
    ASSERT_TRUE(perplexity(shipped_model(), tokens, options));
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_EQ(seen.back(), 199);
    EXPECT_GT(seen.size(), 1u);

    options.progress = [](int64_t, int64_t) { return false; };
    const auto stopped = perplexity(shipped_model(), tokens, options);
    ASSERT_FALSE(stopped);
    EXPECT_EQ(stopped.error().code, ErrorCode::invalid_argument);
}

TEST(Perplexity, SingleScoresOnlyThePositionsAskedFor) {
    const auto tokens = uneven_tokens(200);
    PplOptions options = with(PplProtocol::single);
    const auto all = perplexity(shipped_model(), tokens, options);
    const auto expect_tail = [&](const Result<PplResult>& result, size_t n) {
        ASSERT_TRUE(result);
        ASSERT_EQ(result->scores.size(), n);
        for (size_t i = 0; i < n; ++i) {
            EXPECT_EQ(result->scores[i].position, int64_t(199 - n + i));
            EXPECT_EQ(result->scores[i].nll, all->scores[199 - n + i].nll);
        }
        EXPECT_EQ(result->kv.positions, 199) << "all of the text is read";
    };
    options.from = 150;
    expect_tail(perplexity(shipped_model(), tokens, options), 49);
    options.last = 20;
    expect_tail(perplexity(shipped_model(), tokens, options), 20);
    options.from = 0;
    expect_tail(perplexity(shipped_model(), tokens, options), 20);
    options.last = 1000;
    expect_tail(perplexity(shipped_model(), tokens, options), 199);
    options.from = 199;
    EXPECT_FALSE(perplexity(shipped_model(), tokens, options));
    options.from = -1;
    EXPECT_FALSE(perplexity(shipped_model(), tokens, options));
    PplOptions chunks = with(PplProtocol::chunks, 64);
    chunks.last = 10;
    EXPECT_FALSE(perplexity(shipped_model(), tokens, chunks));
}

TEST(Perplexity, RefusesWhatIsTooShortToScore) {
    EXPECT_FALSE(perplexity(shipped_model(), {}, with(PplProtocol::single)));
    EXPECT_FALSE(perplexity(shipped_model(), uneven_tokens(1), with(PplProtocol::single)));
    EXPECT_TRUE(perplexity(shipped_model(), uneven_tokens(2), with(PplProtocol::single)));
    EXPECT_FALSE(perplexity(shipped_model(), uneven_tokens(127), with(PplProtocol::chunks, 64)));
    EXPECT_TRUE(perplexity(shipped_model(), uneven_tokens(128), with(PplProtocol::chunks, 64)));
    for (const int n_ctx : {-1, 0, 1, 3})
        EXPECT_FALSE(perplexity(shipped_model(), uneven_tokens(128), with(PplProtocol::chunks, n_ctx)));
}

}  // namespace
}  // namespace strata

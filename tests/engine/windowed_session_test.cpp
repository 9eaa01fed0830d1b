// Conversations with models in which some layers see a window only, and keep no more than that.
#include <gtest/gtest.h>

#include "engine/model/plan.h"
#include "engine/session.h"
#include "tests/engine/test_files.h"
#include "tests/engine/tiny_models.h"

namespace strata {
namespace {

// Windows within the exact tiles, and well beyond them.
struct Case {
    const char* model;
    int window;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.model << " " << c.window; }

std::vector<int> some(int n, int seed = 0) {
    std::vector<int> tokens(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) tokens[size_t(i)] = 3 + (i * 7919 + i * i * 31 + seed * 101) % 264;
    return tokens;
}

std::vector<int> joined(std::vector<int> a, const std::vector<int>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

std::vector<float> logits_of(const Session& session) { return {session.logits().begin(), session.logits().end()}; }

class WindowedSession : public testing::TestWithParam<Case> {
protected:
    WindowedSession() {
        TinyModel tiny = *find_tiny_model(GetParam().model);
        for (auto& [key, value] : tiny.metadata)
            if (key == "attention.sliding_window") value = uint32_t(GetParam().window);
        bytes_ = make_tiny_model(tiny, TensorType::q8_0);
        model_ = std::move(*Model::open(bytes_of(bytes_)));
    }
    std::unique_ptr<Session> open(const KvOptions& kv, int micro_batch = 64) const {
        SessionOptions options;
        options.kv = kv;
        options.micro_batch = micro_batch;
        auto session = Session::open(*model_, options);
        EXPECT_TRUE(session) << (session ? "" : session.error().message);
        return std::move(*session);
    }
    static KvOptions tiled(KvPreset preset, uint64_t budget = 0) {
        KvOptions options;
        options.preset = preset;
        options.budget_bytes = budget;
        return options;
    }
    std::vector<float> logits_after(const KvOptions& kv, const std::vector<int>& tokens, int micro_batch = 64) const {
        const auto session = open(kv, micro_batch);
        EXPECT_TRUE(session->append(tokens));
        return logits_of(*session);
    }

    std::string bytes_;
    std::unique_ptr<Model> model_;
};

TEST_P(WindowedSession, LogitsDoNotDependOnBatches) {
    for (const KvPreset preset : {KvPreset::exact, KvPreset::quality}) {
        const auto reference = logits_after(tiled(preset), some(500));
        EXPECT_EQ(reference, logits_after(tiled(preset), some(500), preset == KvPreset::exact ? 17 : 1));
    }
}

TEST_P(WindowedSession, TheLastTurnCanBeTakenBackBitForBit) {
    for (const KvPreset preset : {KvPreset::exact, KvPreset::quality})
        for (const int answer : {30, 500}) {
            const auto session = open(tiled(preset));
            ASSERT_TRUE(session->append(some(400)));
            session->begin_turn();
            ASSERT_TRUE(session->append(some(100, 1)));
            ASSERT_TRUE(session->append(some(answer, 2)));
            for (const int to : {500, 400}) {
                EXPECT_GE(session->start_for(to), 400);
                const auto exact = session->truncate(to);
                ASSERT_TRUE(exact) << exact.error().message;
                EXPECT_TRUE(*exact);
                ASSERT_TRUE(session->append(some(70, 3)));
                const auto before = to == 500 ? joined(some(400), some(100, 1)) : some(400);
                EXPECT_EQ(logits_of(*session), logits_after(tiled(preset), joined(before, some(70, 3)))) << to;
            }
        }
}

TEST_P(WindowedSession, AnotherAnswerBeginsAtOnceHoweverLongTheQuestionWas) {
    for (const KvPreset preset : {KvPreset::exact, KvPreset::quality})
        for (const int n : {410, 1085}) {
            const auto session = open(tiled(preset));
            ASSERT_TRUE(session->append(some(400)));
            session->begin_turn();
            session->begin_answer(n);
            ASSERT_TRUE(session->append(some(n - 400, 1)));
            ASSERT_TRUE(session->append(some(600, 2)));
            const auto first = logits_of(*session);
            EXPECT_EQ(session->start_for(n), n);
            EXPECT_EQ(session->start_for(400), 400);
            EXPECT_TRUE(*session->truncate(n));
            ASSERT_TRUE(session->append(some(600, 2)));
            EXPECT_EQ(logits_of(*session), first) << n;
            EXPECT_TRUE(*session->truncate(400));
            ASSERT_TRUE(session->append(some(70, 3)));
            EXPECT_EQ(logits_of(*session), logits_after(tiled(preset), joined(some(400), some(70, 3)))) << n;
        }
}

// Three windows with their exact tiles, where they have nothing in common: the newest, the turn's, the answer's.
TEST_P(WindowedSession, WhatIsKeptForATurnAndItsAnswerIsInThePlan) {
    const auto plan = plan_memory(bytes_of(bytes_), bytes_.size(), bytes_.size());
    ASSERT_TRUE(plan) << plan.error().message;
    const auto& each = plan->bytes_per_token[size_t(KvPreset::quality)];
    ASSERT_TRUE(each);
    const KvShape shape = model_->config().kv_shape();
    const int far = GetParam().window + 256;
    const double exact_tile = double(shape.n_windowed()) * 2 * shape.n_kv_heads * 64 * shape.head_dim * sizeof(float);
    const auto session = open(tiled(KvPreset::quality));
    ASSERT_TRUE(session->append(some(far)));
    session->begin_turn();
    session->begin_answer(2 * far);
    ASSERT_TRUE(session->append(some(2 * far)));
    const double kept = double(session->stats().windowed_bytes) - 9 * exact_tile;
    EXPECT_LE(kept, each->windowed * double(plan->windowed_tokens) * 1.01);
}

// What the window has left cannot be thawed: everything is read again, and is exact.
TEST_P(WindowedSession, GoingFurtherBackReadsAgain) {
    for (const KvOptions& kv : {tiled(KvPreset::quality), KvOptions{KvType::fp16, KvType::fp16, 0, 0}}) {
        const auto session = open(kv);
        ASSERT_TRUE(session->append(some(1000)));
        session->begin_turn();
        ASSERT_TRUE(session->append(some(100, 1)));
        EXPECT_EQ(session->start_for(600), 0);
        const auto exact = session->truncate(600);
        ASSERT_TRUE(exact) << exact.error().message;
        EXPECT_TRUE(*exact);
        EXPECT_EQ(session->position(), 600);
        EXPECT_EQ(session->tokens().size(), 600u);
        EXPECT_EQ(session->stats().thawed_positions, 0);
        ASSERT_TRUE(session->append(some(70, 3)));
        std::vector<int> before = some(1000);
        before.resize(600);
        EXPECT_EQ(logits_of(*session), logits_after(kv, joined(before, some(70, 3))));
    }
}

TEST_P(WindowedSession, ARestoredConversationGoesOnAsIfItHadNeverStopped) {
    for (const KvPreset preset : {KvPreset::exact, KvPreset::balanced})
        for (const int n : {64, 700}) {
            const auto session = open(tiled(preset));
            ASSERT_TRUE(session->append(some(n)));
            session->begin_turn();
            ASSERT_TRUE(session->append(some(400, 1)));
            const auto bytes = session->save();
            ASSERT_TRUE(bytes);
            const KvStats stats = session->stats();
            EXPECT_LE(double(bytes->size()), 1.05 * double(stats.bytes - stats.spare_bytes) + 8000);
            auto restored = Session::restore(*model_, *bytes, {});
            ASSERT_TRUE(restored) << restored.error().message;
            EXPECT_EQ(*(*restored)->save(), *bytes);
            EXPECT_EQ((*restored)->stats().windowed_bytes, stats.windowed_bytes);
            for (Session* s : {session.get(), restored->get()}) {
                ASSERT_TRUE(s->append(some(90, 2)));
                EXPECT_TRUE(*s->truncate(n));
                ASSERT_TRUE(s->append(some(90, 3)));
            }
            EXPECT_EQ(logits_of(**restored), logits_of(*session));
        }
}

TEST_P(WindowedSession, AnythingInAnyOrderKeepsTheBudget) {
    const uint64_t least = open(tiled(KvPreset::quality))->stats().least_budget_bytes;
    const auto session = open(tiled(KvPreset::quality, least + 600'000));
    uint64_t random = 2024;
    const auto next = [&](uint64_t n) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        return (random >> 33) % n;
    };
    for (int step = 0; step < 80; ++step) {
        switch (next(7)) {
            case 0:
                session->begin_turn();
                break;
            case 1:
                ASSERT_TRUE(
                    session->truncate(session->position() - int64_t(next(uint64_t(session->position()) / 4 + 1))));
                break;
            case 2:
                (void)session->set_memory(kKvPresets[next(4)], least + 400'000 + next(3) * 200'000);
                break;
            case 3:
                session->begin_answer(session->position() + int64_t(next(100)));
                break;
            default:
                (void)session->append(some(int(next(150)) + 1, step));
        }
        const KvStats stats = session->stats();
        ASSERT_LE(stats.bytes, stats.budget_bytes) << "step " << step;
        int64_t covered = 0;
        for (const KvTier& tier : stats.tiers) covered += tier.positions;
        ASSERT_EQ(covered, session->position());
        ASSERT_EQ(int64_t(session->tokens().size()), session->position());
    }
}

INSTANTIATE_TEST_SUITE_P(Models, WindowedSession,
                         testing::Values(Case{"gemma2", 40}, Case{"gemma2", 300}, Case{"gemma3", 150},
                                         Case{"olmo2-window", 200}),
                         [](const auto& info) {
                             std::string name = info.param.model + std::to_string(info.param.window);
                             std::erase(name, '-');
                             return name;
                         });

}  // namespace
}  // namespace strata

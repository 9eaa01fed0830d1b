// Promises of a conversation in tiered memory, on the model that we ship: the same bits however it is read, after going
// back, after a snapshot, across budgets.
#include <gtest/gtest.h>

#include <cstring>

#include "engine/base/hash.h"
#include "engine/session.h"
#include "tests/engine/shipped_model.h"
#include "tests/engine/some_tokens.h"

namespace strata {
namespace {

SessionOptions tiled(KvPreset preset, uint64_t budget = 0, int threads = 1) {
    SessionOptions options;
    options.kv.preset = preset;
    options.kv.budget_bytes = budget;
    options.threads = threads;
    return options;
}

std::unique_ptr<Session> open(const SessionOptions& options) {
    auto session = Session::open(shipped_model(), options);
    EXPECT_TRUE(session) << (session ? "" : session.error().message);
    return std::move(*session);
}

std::vector<float> logits_of(const Session& session) { return {session.logits().begin(), session.logits().end()}; }

void append(Session& session, std::span<const int> tokens, size_t call = 1 << 20) {
    for (size_t at = 0; at < tokens.size(); at += call) {
        const Status status = session.append(tokens.subspan(at, std::min(call, tokens.size() - at)));
        ASSERT_TRUE(status) << status.error().message;
    }
}

constexpr uint64_t kTightBudget = 3'000'000;  // of about 2.4 MB that nothing can be compressed of

class TieredSession : public testing::TestWithParam<KvPreset> {};

TEST_P(TieredSession, LogitsDoNotDependOnBatchesCallsOrThreads) {
    for (const uint64_t budget : {uint64_t(0), kTightBudget}) {
        const auto run = [&](int threads, int batch, size_t call) {
            SessionOptions options = tiled(GetParam(), budget, threads);
            options.micro_batch = batch;
            const auto session = open(options);
            append(*session, some_tokens(330), call);
            // A budget that changes at a position is part of the conversation.
            EXPECT_TRUE(session->set_memory(GetParam(), budget == 0 ? 3'100'000 : budget - 50'000));
            append(*session, some_tokens(130, 500), call);
            return logits_of(*session);
        };
        const auto reference = run(1, 64, 1 << 20);
        EXPECT_EQ(reference, run(3, 17, 100));
        EXPECT_EQ(reference, run(2, 64, 1));
    }
}

// Regenerate goes back to where the answer began, edit-last to where the turn began, however long both were.
TEST_P(TieredSession, TheLastTurnCanBeTakenBackBitForBit) {
    for (const int question : {10, 200})
        for (const int answer : {30, 200}) {
            const auto session = open(tiled(GetParam()));
            append(*session, some_tokens(400));
            session->begin_turn();
            append(*session, some_tokens(question, 400));
            append(*session, some_tokens(answer, 5000));
            const auto back = session->truncate(400 + question);
            ASSERT_TRUE(back);
            EXPECT_TRUE(*back);
            EXPECT_EQ(session->position(), 400 + question);
            EXPECT_TRUE(session->logits().empty());
            append(*session, some_tokens(50, 9000));
            const auto never = open(tiled(GetParam()));
            append(*never, some_tokens(400 + question));
            append(*never, some_tokens(50, 9000));
            EXPECT_EQ(logits_of(*session), logits_of(*never)) << question << ", " << answer;

            ASSERT_TRUE(*session->truncate(400));
            append(*session, some_tokens(50, 10000));
            const auto edited = open(tiled(GetParam()));
            append(*edited, some_tokens(400));
            append(*edited, some_tokens(50, 10000));
            EXPECT_EQ(logits_of(*session), logits_of(*edited)) << question << ", " << answer;
        }
}

// The template's opening is read with the question; the answer goes on after a pause. None of it is read again.
TEST_P(TieredSession, AnotherAnswerBeginsAtOnceHoweverLongTheQuestionWas) {
    for (const int n : {410, 1085, 1400}) {
        const auto session = open(tiled(GetParam()));
        append(*session, some_tokens(400));
        session->begin_turn();
        session->begin_answer(n);
        append(*session, some_tokens(n - 400, 400));
        const auto opening = some_tokens(5, 70);
        append(*session, opening);
        const auto asked = logits_of(*session);
        const auto answer = [&](Session& s, int most) {
            GenerationOptions options;
            options.sampler.seed = 5;
            options.max_tokens = most;
            options.stop_at_end_of_generation = false;
            auto generation = Generation::start(s, options);
            EXPECT_TRUE(generation);
            while (generation->step()->stop == StopReason::none) continue;
        };
        answer(*session, 100);
        answer(*session, 200);
        const std::vector<int> said(session->tokens().begin(), session->tokens().end());
        const auto last = logits_of(*session);
        auto restored = Session::restore(shipped_model(), *session->save(), {});
        ASSERT_TRUE(restored) << restored.error().message;
        for (Session* s : {session.get(), restored->get()}) {
            EXPECT_EQ(s->start_for(n), n);
            EXPECT_TRUE(*s->truncate(n));
            append(*s, opening);
            EXPECT_EQ(logits_of(*s), asked) << n;
            answer(*s, 300);
            EXPECT_EQ(std::vector<int>(s->tokens().begin(), s->tokens().end()), said) << n;
            EXPECT_EQ(logits_of(*s), last) << n;
        }
    }
}

TEST_P(TieredSession, GoingFurtherBackIsDeterministicAndMarked) {
    const auto run = [&](int64_t to, bool& exact) {
        const auto session = open(tiled(GetParam()));
        append(*session, some_tokens(600));
        session->begin_turn();
        append(*session, some_tokens(100, 600));
        exact = *session->truncate(to);
        EXPECT_EQ(session->position(), to);
        EXPECT_EQ(session->tokens().size(), size_t(to));
        EXPECT_TRUE(exact || session->stats().thawed_positions > 0);
        append(*session, some_tokens(300, 77));
        EXPECT_EQ(session->stats().thawed_positions, 0);  // they have left the window again
        return logits_of(*session);
    };
    for (const int64_t to : {448, 130, 3}) {
        bool exact = false, again = false;
        EXPECT_EQ(run(to, exact), run(to, again));
        EXPECT_EQ(exact, GetParam() == KvPreset::exact) << to;
    }
}

TEST_P(TieredSession, AnythingInAnyOrderKeepsThePromises) {
    const auto session = open(tiled(GetParam(), 4'000'000));
    uint64_t random = 12345;
    const auto next = [&](uint64_t n) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        return (random >> 33) % n;
    };
    for (int step = 0; step < 60; ++step) {
        const int64_t position = session->position();
        switch (next(6)) {
            case 0:
                session->begin_turn();
                break;
            case 1:
                ASSERT_TRUE(session->truncate(int64_t(next(uint64_t(position) + 1))));
                break;
            case 2:
                (void)session->set_memory(kKvPresets[next(4)], 2'900'000 + next(3) * 1'000'000);
                break;
            case 3:
                session->begin_answer(position + int64_t(next(100)));
                break;
            default:
                (void)session->append(some_tokens(int(next(150)) + 1, int(next(1000))));
        }
        const KvStats stats = session->stats();
        ASSERT_LE(stats.bytes, stats.budget_bytes);
        int64_t covered = 0;
        for (const KvTier& tier : stats.tiers) covered += tier.positions;
        ASSERT_EQ(covered, session->position());
        ASSERT_EQ(int64_t(session->tokens().size()), session->position());
    }
    // And what it came to is a state like any other: it can be put away and taken up.
    const auto bytes = session->save();
    ASSERT_TRUE(bytes);
    auto restored = Session::restore(shipped_model(), *bytes, {});
    ASSERT_TRUE(restored) << restored.error().message;
    append(*session, some_tokens(100, 4));
    append(**restored, some_tokens(100, 4));
    EXPECT_EQ(logits_of(*session), logits_of(**restored));
}

// ---- snapshots

TEST_P(TieredSession, ARestoredConversationGoesOnAsIfItHadNeverStopped) {
    for (const int n : {0, 64, 1000})
        for (const uint64_t budget : {uint64_t(0), uint64_t(3'100'000)}) {
            const auto session = open(tiled(GetParam(), budget));
            append(*session, some_tokens(n / 2));
            session->begin_turn();
            session->begin_answer(n - n / 5);
            append(*session, some_tokens(n - n / 2, n / 2));
            const auto bytes = session->save();
            ASSERT_TRUE(bytes);
            const uint64_t live = session->stats().bytes - session->stats().spare_bytes;
            EXPECT_TRUE(n < 1000 || double(bytes->size()) <= 1.02 * double(live));
            auto restored = Session::restore(shipped_model(), *bytes, tiled(KvPreset::max, 0, 2));
            ASSERT_TRUE(restored) << restored.error().message;
            EXPECT_EQ(logits_of(**restored), logits_of(*session));
            EXPECT_EQ((*restored)->stats().policy, session->stats().policy);
            EXPECT_EQ(*(*restored)->save(), *bytes);
            append(*session, some_tokens(150, 4));
            append(**restored, some_tokens(150, 4), 7);
            EXPECT_EQ(logits_of(**restored), logits_of(*session));
            // Exact unless the budget made something coarser since: the same answer from both.
            const bool exact = *session->truncate(n);
            EXPECT_EQ(exact, *(*restored)->truncate(n));
            EXPECT_TRUE(exact || budget > 0);
            append(*session, some_tokens(10, 5));
            append(**restored, some_tokens(10, 5));
            EXPECT_EQ(logits_of(**restored), logits_of(*session));
        }
}

INSTANTIATE_TEST_SUITE_P(Presets, TieredSession, testing::ValuesIn(kKvPresets),
                         [](const auto& info) { return kv_preset_name(info.param); });

std::vector<uint8_t> small_snapshot() {
    const auto session = open(tiled(KvPreset::quality));
    append(*session, some_tokens(300));
    return *session->save();
}

// With a checksum that fits, so that what is behind it is reached.
std::vector<uint8_t> sealed(std::vector<uint8_t> bytes) {
    const uint64_t checksum = fnv1a(std::span(bytes).first(bytes.size() - 8));
    std::memcpy(bytes.data() + bytes.size() - 8, &checksum, 8);
    return bytes;
}

TEST(Snapshot, DamageIsRefusedWithAReason) {
    const auto bytes = small_snapshot();
    const auto code = [](std::span<const uint8_t> damaged) {
        const auto session = Session::restore(shipped_model(), damaged, {});
        EXPECT_FALSE(session);
        return session ? ErrorCode::not_gguf : session.error().code;
    };
    for (size_t size = 0; size < bytes.size(); size += size < 200 ? 1 : 99991)
        EXPECT_EQ(code(std::span(bytes).first(size)), ErrorCode::corrupt_file);
    for (size_t at = 0; at < bytes.size(); at += at < 200 ? 1 : 49999) {
        auto flipped = bytes;
        flipped[at] ^= 16;
        EXPECT_EQ(code(flipped), ErrorCode::corrupt_file) << at;
    }
    auto newer = bytes;
    newer[8] = 99;
    const auto refused = Session::restore(shipped_model(), sealed(newer), {});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("version 99"), std::string::npos);
    auto other = bytes;
    other[12] ^= 1;
    EXPECT_EQ(code(sealed(other)), ErrorCode::invalid_argument);
}

// Whatever a liar with a right checksum writes into the small fields: an answer, never a crash.
TEST(Snapshot, LiesAreSurvived) {
    const auto bytes = small_snapshot();
    const size_t tiles_at = 8 + 4 + 8 + 4 + 8 + 300 * 4 + 8 + 4096 * 4;
    for (const size_t field :
         {size_t(20), size_t(24), size_t(32), tiles_at - 4096 * 4 - 8, tiles_at, tiles_at + 4, tiles_at + 12,
          tiles_at + 16, tiles_at + 20, tiles_at + 28, tiles_at + 36, tiles_at + 44})
        for (const uint8_t value : {0, 1, 2, 127, 128, 255}) {
            auto lie = bytes;
            lie[field] = value;
            lie[field + 3] = value;
            (void)Session::restore(shipped_model(), sealed(lie), {});
        }
    for (size_t at = tiles_at; at < bytes.size() - 8; at += 9973) {
        auto lie = bytes;
        for (size_t i = at; i < std::min(at + 64, bytes.size() - 8); ++i) lie[i] = 255;
        auto session = Session::restore(shipped_model(), sealed(lie), {});
        EXPECT_TRUE(!session || (*session)->append(some_tokens(70)));
    }
}

TEST(Snapshot, RowFormatsHaveNone) {
    const auto session = open({});
    EXPECT_EQ(session->save().error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(session->set_memory(KvPreset::quality, 0).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace strata

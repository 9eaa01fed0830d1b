// What recall questions are made of: random choices that every build makes alike, facts, and prose between them.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace strata {

// splitmix64: integers only, so that a seed means the same questions everywhere.
class RecallRandom {
public:
    explicit RecallRandom(uint64_t seed) : state_(seed) {}

    uint64_t next();
    int below(int n);  // 0 to n - 1
    int between(int low, int high) { return low + below(high - low + 1); }
    bool percent(int chance) { return below(100) < chance; }
    std::string_view pick(std::span<const std::string_view> list) { return list[size_t(below(int(list.size())))]; }

private:
    uint64_t state_;
};

// "The ATTRIBUTE of OWNER is VALUE."
struct RecallFact {
    std::string attribute, owner, value;

    std::string statement() const;
    std::string question() const;  // up to where the value begins; both lie on lines of their own
};

// n facts with one attribute, that of the given number, and different owners and values: to be taken for one another.
std::vector<RecallFact> confusable_facts(RecallRandom& random, int attribute, int n);
int n_recall_attributes();

// "My SLOT is VALUE.", as it is told, asked and answered in a conversation.
struct RecallTold {
    std::string slot, value;

    std::string statement() const;
    std::string question(RecallRandom& random) const;
    std::string answer_begin() const;  // of the answer, up to where the value begins
};

// n facts about the person who speaks, with different slots; no more than there are slots.
std::vector<RecallTold> told_facts(RecallRandom& random, int n);
std::string_view acknowledgement(RecallRandom& random);

// Prose to lie between a fact and its question.
class RecallFiller {
public:
    RecallFiller(const Tokenizer& tokenizer, std::vector<int> tokens);

    // n tokens that follow each other, from the beginning of a line where there is one near. Needs has_room(n).
    std::span<const int> stretch(RecallRandom& random, int64_t n) const;
    bool has_room(int64_t n) const;
    int64_t size() const { return int64_t(tokens_.size()); }

private:
    std::vector<int> tokens_;
    std::vector<bool> begins_line_;
};

}  // namespace strata

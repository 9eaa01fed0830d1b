#include "engine/eval/recall_facts.h"

#include <algorithm>
#include <utility>

#include "engine/base/check.h"
#include "engine/eval/recall_words.h"

namespace strata {

namespace {

constexpr int kNearLine = 290;  // how far the beginning of a line is looked for

std::string digits(RecallRandom& random, int at_least, int at_most) {
    const int n = random.between(at_least, at_most);
    std::string text = std::to_string(random.between(1, 9));
    while (int(text.size()) < n) text += std::to_string(random.below(10));
    return text;
}

std::string words(RecallRandom& random, int n) {
    std::string text;
    for (int i = 0; i < n; ++i) text.append(i > 0 ? " " : "").append(random.pick(kRecallWords));
    return text;
}

std::string name(RecallRandom& random) { return std::string(random.pick(kRecallNames)); }

std::string full_name(RecallRandom& random) {
    std::string text = name(random);
    return random.percent(60) ? text : text + " " + name(random);
}

// The mixture that the shipped model was trained on, without phrases of three words, its known weakness.
std::string value_of_anything(RecallRandom& random) {
    const int kind = random.below(100);
    if (kind < 50) return words(random, random.percent(25) ? 1 : 2);
    if (kind < 75) return digits(random, 2, 5);
    if (kind < 90) return full_name(random);
    return std::string(random.pick(kRecallColours));
}

std::string usual(RecallRandom& random, std::span<const std::string_view> list, int percent) {
    return random.percent(percent) ? std::string(random.pick(list)) : words(random, 1);
}

std::string time_of_day(RecallRandom& random) {
    constexpr std::string_view kAfterHour[] = {" o'clock", ":30", ":15", ":45", " in the morning", " in the evening"};
    std::string hour = std::to_string(random.between(1, 12));
    return hour + std::string(random.pick(kAfterHour));
}

std::string birthday(RecallRandom& random) {
    std::string day = std::to_string(random.between(1, 31));
    return day + " " + std::string(random.pick(kRecallMonths));
}

std::string street(RecallRandom& random) {
    std::string text = name(random);
    return text + " " + std::string(random.pick(kRecallStreetKinds));
}

std::string value_of(RecallRandom& random, RecallKind kind) {
    switch (kind) {
        case RecallKind::age:
            return std::to_string(random.between(5, 95));
        case RecallKind::birthday:
            return birthday(random);
        case RecallKind::car:
            return std::string(random.pick(kRecallColours));
        case RecallKind::colour:
            return usual(random, kRecallColours, 85);
        case RecallKind::country:
            return std::string(random.pick(kRecallCountries));
        case RecallKind::day:
            return usual(random, kRecallDays, 70);
        case RecallKind::digits:
            return digits(random, 2, 5);
        case RecallKind::drink:
            return usual(random, kRecallDrinks, 70);
        case RecallKind::flower:
            return usual(random, kRecallFlowers, 70);
        case RecallKind::food:
            return usual(random, kRecallFoods, 70);
        case RecallKind::game:
            return usual(random, kRecallGames, 70);
        case RecallKind::animal:
            return usual(random, kRecallAnimals, 70);
        case RecallKind::hobby:
            return usual(random, kRecallHobbies, 75);
        case RecallKind::job:
            return usual(random, kRecallJobs, 75);
        case RecallKind::number:
            return digits(random, 1, 3);
        case RecallKind::person:
            return name(random);
        case RecallKind::phrase:
            return words(random, random.percent(33) ? 1 : 2);
        case RecallKind::season:
            return usual(random, kRecallSeasons, 70);
        case RecallKind::street:
            return street(random);
        case RecallKind::time:
            return time_of_day(random);
        case RecallKind::town:
            return random.percent(50) ? std::string(random.pick(kRecallTowns)) : name(random);
    }
    return {};
}

}  // namespace

uint64_t RecallRandom::next() {
    state_ += 0x9e3779b97f4a7c15ull;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

int RecallRandom::below(int n) { return int((next() >> 32) * uint64_t(n) >> 32); }

std::string RecallFact::statement() const {
    return std::string("The ") + attribute + " of " + owner + " is " + value + ".";
}

std::string RecallFact::question() const {
    return std::string("What is the ") + attribute + " of " + owner + "? The " + attribute + " of " + owner + " is";
}

std::vector<RecallFact> confusable_facts(RecallRandom& random, int attribute, int n) {
    std::vector<RecallFact> facts;
    while (int(facts.size()) < n) {
        RecallFact fact;
        fact.attribute = kRecallAttributes[attribute];
        fact.owner = full_name(random);
        fact.value = value_of_anything(random);
        const bool taken = std::any_of(facts.begin(), facts.end(), [&](const RecallFact& other) {
            return other.owner == fact.owner || other.value == fact.value;
        });
        if (!taken) facts.push_back(std::move(fact));
    }
    return facts;
}

int n_recall_attributes() { return int(std::size(kRecallAttributes)); }

std::string RecallTold::statement() const { return std::string("My ") + slot + " is " + value + "."; }

std::string RecallTold::question(RecallRandom& random) const {
    return std::string(random.percent(50) ? "What is my " : "Do you remember my ") + slot + "?";
}

std::string RecallTold::answer_begin() const { return std::string("Your ") + slot + " is"; }

std::vector<RecallTold> told_facts(RecallRandom& random, int n) {
    CHECK(size_t(n) <= std::size(kRecallSlots));
    std::vector<RecallTold> facts;
    while (int(facts.size()) < n) {
        const RecallSlot& slot = kRecallSlots[random.below(int(std::size(kRecallSlots)))];
        const bool taken =
            std::any_of(facts.begin(), facts.end(), [&](const RecallTold& other) { return other.slot == slot.name; });
        if (!taken) facts.push_back({std::string(slot.name), value_of(random, slot.kind)});
    }
    return facts;
}

std::string_view acknowledgement(RecallRandom& random) { return random.pick(kRecallAcknowledgements); }

RecallFiller::RecallFiller(const Tokenizer& tokenizer, std::vector<int> tokens)
    : tokens_(std::move(tokens)), begins_line_(tokens_.size(), false) {
    for (size_t i = 0; i + 1 < tokens_.size(); ++i) begins_line_[i + 1] = tokenizer.piece(tokens_[i]).ends_with('\n');
}

bool RecallFiller::has_room(int64_t n) const { return n + kNearLine < size(); }

std::span<const int> RecallFiller::stretch(RecallRandom& random, int64_t n) const {
    CHECK(has_room(n));
    const auto begin = size_t(random.below(int(size() - n - kNearLine)));
    size_t line = begin;
    while (line < begin + kNearLine && !begins_line_[line]) ++line;
    return std::span(tokens_).subspan(begins_line_[line] ? line : begin, size_t(n));
}

}  // namespace strata

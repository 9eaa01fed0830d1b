// A value, or the reason why there is none. The engine is built without exceptions, and the
// libc++ that ships with Emscripten 3.1.6 has no std::expected.
#pragma once
#include <string>
#include <utility>
#include <variant>

#include "engine/base/check.h"

namespace strata {

// Stable across releases: the TypeScript library hands these names to its users (see error_name).
enum class ErrorCode {
    not_gguf,               // the bytes are no GGUF file
    corrupt_file,           // a GGUF file that ends early or contradicts itself
    unsupported_arch,       // a model architecture that the engine does not know
    unsupported_type,       // a tensor type that the engine cannot compute with
    unsupported_tokenizer,  // a tokenizer or pre-tokenizer that the engine does not know
    out_of_memory,
    budget_full,       // the memory's budget of bytes is used up; a larger one goes on
    invalid_argument,  // the caller asked for something that makes no sense
};

constexpr const char* error_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::not_gguf:
            return "not_gguf";
        case ErrorCode::corrupt_file:
            return "corrupt_file";
        case ErrorCode::unsupported_arch:
            return "unsupported_arch";
        case ErrorCode::unsupported_type:
            return "unsupported_type";
        case ErrorCode::unsupported_tokenizer:
            return "unsupported_tokenizer";
        case ErrorCode::out_of_memory:
            return "out_of_memory";
        case ErrorCode::budget_full:
            return "budget_full";
        case ErrorCode::invalid_argument:
            return "invalid_argument";
    }
    return "unknown";
}

struct Error {
    ErrorCode code;
    std::string message;  // what, where, what was expected, and what can be done
};

template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return state_.index() == 0; }
    T& operator*() {
        CHECK(state_.index() == 0);
        return *std::get_if<0>(&state_);
    }
    const T& operator*() const {
        CHECK(state_.index() == 0);
        return *std::get_if<0>(&state_);
    }
    T* operator->() { return &**this; }
    const T* operator->() const { return &**this; }
    const Error& error() const {
        CHECK(state_.index() == 1);
        return *std::get_if<1>(&state_);
    }

private:
    std::variant<T, Error> state_;
};

struct Done {};
using Status = Result<Done>;  // for calls that return nothing but may fail

}  // namespace strata

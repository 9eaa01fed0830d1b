// What tests found out beyond passing, for docs/models.md: tests/tools/models_report.mjs reads it from their report.
#pragma once
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace strata {

// At most one for each test.
inline void report_fact(const nlohmann::json& fact) { testing::Test::RecordProperty("fact", fact.dump()); }

}  // namespace strata

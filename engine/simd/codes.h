// What a quantised weight can be before it is scaled. The narrower, the cheaper some backends multiply it.
#pragma once

namespace strata {

enum class Codes { int8, upto_63, upto_31, nibbles };

}  // namespace strata

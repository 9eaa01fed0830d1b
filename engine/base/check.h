// CHECK is for broken promises inside our own code: it stops the program and names the place.
// Bad input from outside (files, users, memory) is never a CHECK; that is a Result.
#pragma once
#include <cstdio>
#include <cstdlib>

#define CHECK(condition) \
    ((condition) ? (void)0 : (std::fprintf(stderr, "%s:%d: CHECK(%s)\n", __FILE__, __LINE__, #condition), std::abort()))

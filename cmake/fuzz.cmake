# libFuzzer targets, one for each tests/fuzz/NAME_fuzz.cpp. Run: build/fuzz/NAME_fuzz -max_total_time=60 CORPUS
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "STRATA_FUZZ needs clang with libFuzzer (Debian: clang libfuzzer-14-dev libclang-rt-14-dev)")
endif()

target_compile_options(engine PRIVATE -fsanitize=fuzzer-no-link)  # coverage, which guides the fuzzer

file(GLOB fuzz_sources CONFIGURE_DEPENDS tests/fuzz/*_fuzz.cpp)
foreach(source ${fuzz_sources})
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source} tests/engine/tiny_models.cpp)
  target_link_libraries(${name} engine)
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endforeach()

# Which hardly any machine runs: optimised and sanitised it takes a minute to compile.
set_source_files_properties(engine/kernels/scalar.cpp PROPERTIES COMPILE_OPTIONS -O0)

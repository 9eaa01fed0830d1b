# The browser's engine: one ES6 module per build folder, written to web/public/engine, where Vite copies it unbundled.
#   engine-st  one thread: pages that are not cross-origin isolated, and the tests in node
#   engine-mt  threads (STRATA_THREADS=ON)
# and the same with relaxed SIMD, engine-st-relaxed and engine-mt-relaxed, where the tools for it are there: web/lib
# chooses (relaxed_simd.ts).
option(STRATA_THREADS "Build the threaded WebAssembly module" OFF)

if(STRATA_THREADS)
  set(module engine-mt)
  set(thread_options -pthread)
  # The threads must exist before the first session asks for them: a blocked worker cannot start another one. So the
  # module is created with `threads`, and starts all but the one that it runs on (one at least: the glue waits for a thread).
  set(thread_link_options -pthread "-sPTHREAD_POOL_SIZE=Math.max(1,Module['threads']-1)" -sPTHREAD_POOL_SIZE_STRICT=2
    -Wno-pthreads-mem-growth)
  set(bench_link_options -pthread -sPTHREAD_POOL_SIZE=8 -sPTHREAD_POOL_SIZE_STRICT=2 -Wno-pthreads-mem-growth)
else()
  set(module engine-st)
  set(thread_options)
  set(thread_link_options)
  set(bench_link_options)
endif()

# npm puts the programs of its packages first in PATH, and emcc would link with npm's binaryen in place of its own: the
# glue then has other names for the module's imports than the module.
string(REGEX REPLACE "[^:]*node_modules/\\.bin:?" "" path_without_npm "$ENV{PATH}")
set_property(GLOBAL PROPERTY RULE_LAUNCH_LINK "${CMAKE_COMMAND} -E env \"PATH=${path_without_npm}\"")

engine_library(engine ${thread_options})
# What takes hardly any of a token's time is made small: everybody downloads it, and nobody waits for it.
set(small_sources ${engine_sources})
list(FILTER small_sources INCLUDE REGEX "engine/(gguf|tokenizer|eval|formats|kv/(kv_|tile_|tier_|row_|attention_rows)|kernels/(signature|kernels)|sampler|base|model|[a-z_]+\\.cpp)")
list(FILTER small_sources EXCLUDE REGEX "(formats/tile|model/transformer)\\.cpp")
set_property(SOURCE ${small_sources} wasm/bindings.cpp APPEND PROPERTY COMPILE_OPTIONS -Os)

# name, folder, options of the link; then the sources
function(browser_module name folder link_options)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE engine)
  target_link_options(${name} PRIVATE -O3 ${link_options}
    -sMODULARIZE -sEXPORT_ES6 -sENVIRONMENT=web,worker -sFILESYSTEM=0
    -sALLOW_MEMORY_GROWTH -sMAXIMUM_MEMORY=4GB -sTOTAL_STACK=1MB)
  set_target_properties(${name} PROPERTIES SUFFIX .mjs RUNTIME_OUTPUT_DIRECTORY ${folder})
endfunction()
# The engine; and the benchmark of its kernels, which is built when it is asked for, and not shipped.
function(engine_module suffix)
  browser_module(${module}${suffix} ${CMAKE_SOURCE_DIR}/web/public/engine "--bind;${thread_link_options}" wasm/bindings.cpp
    ${ARGN})
  browser_module(kernel_speed${suffix} ${CMAKE_BINARY_DIR} "${bench_link_options}" tests/bench/kernel_speed.cpp ${ARGN})
  set_target_properties(kernel_speed${suffix} PROPERTIES EXCLUDE_FROM_ALL ON)
endfunction()
engine_module("")

# Debian's compiler does not know relaxed SIMD as it became: there the instructions are imports that npm's binaryen
# replaces (engine/simd/relaxed.h). The link needs -g3, or emcc renames the imports.
set(STRATA_BINARYEN ${CMAKE_SOURCE_DIR}/node_modules/binaryen/bin CACHE PATH "Folder of npm's wasm-merge and wasm-opt")
set(relaxed_sources engine/kernels/wasm_relaxed.cpp engine/kernels/backends_wasm_relaxed.cpp)
if(EMSCRIPTEN_VERSION VERSION_GREATER_EQUAL 3.1.48)  # untested, as the emsdk is: see emscripten.cmake
  engine_module(-relaxed ${relaxed_sources})
  set_source_files_properties(engine/kernels/wasm_relaxed.cpp PROPERTIES COMPILE_OPTIONS -mrelaxed-simd)
elseif(EXISTS ${STRATA_BINARYEN}/wasm-merge)
  engine_module(-relaxed ${relaxed_sources})
  foreach(target ${module}-relaxed kernel_speed-relaxed)
    target_link_options(${target} PRIVATE -g3 --js-library ${CMAKE_SOURCE_DIR}/cmake/relaxed/imports.js)
    add_custom_command(TARGET ${target} POST_BUILD VERBATIM
      COMMAND ${CMAKE_COMMAND} -DBINARYEN=${STRATA_BINARYEN}
        -DMODULE=$<TARGET_FILE_DIR:${target}>/${target}.wasm -P ${CMAKE_SOURCE_DIR}/cmake/relaxed/make.cmake)
  endforeach()
else()
  message(STATUS "Without relaxed SIMD: npm's binaryen is not in ${STRATA_BINARYEN}")
endif()

# The browser's engine: one ES6 module per build folder, written to web/public/engine, where Vite copies it unbundled.
#   engine-st  one thread: pages that are not cross-origin isolated, and the tests in node
#   engine-mt  threads (STRATA_THREADS=ON)
option(STRATA_THREADS "Build the threaded WebAssembly module" OFF)

if(STRATA_THREADS)
  set(module engine-mt)
  set(thread_options -pthread)
  # The threads must exist before the first session asks for them: a blocked worker cannot start another one. So the
  # module is created with `threads`, and starts all but the one that it runs on (one at least: the glue waits for a thread).
  set(thread_link_options -pthread "-sPTHREAD_POOL_SIZE=Math.max(1,Module['threads']-1)" -sPTHREAD_POOL_SIZE_STRICT=2
    -Wno-pthreads-mem-growth)
else()
  set(module engine-st)
  set(thread_options)
  set(thread_link_options)
endif()

engine_library(engine ${thread_options})

add_executable(${module} wasm/bindings.cpp)
target_link_libraries(${module} PRIVATE engine)
target_link_options(${module} PRIVATE -O3 --bind ${thread_link_options}
  -sMODULARIZE -sEXPORT_ES6 -sENVIRONMENT=web,worker -sFILESYSTEM=0
  -sALLOW_MEMORY_GROWTH -sMAXIMUM_MEMORY=4GB -sTOTAL_STACK=1MB)
set_target_properties(${module} PROPERTIES SUFFIX .mjs RUNTIME_OUTPUT_DIRECTORY ${CMAKE_SOURCE_DIR}/web/public/engine)

# The speed of the kernels, in node: built only when asked for.
add_executable(matmul_speed EXCLUDE_FROM_ALL tests/bench/matmul_speed.cpp)
target_link_libraries(matmul_speed PRIVATE engine)
target_link_options(matmul_speed PRIVATE -O3 -sENVIRONMENT=node -sSINGLE_FILE -sINITIAL_MEMORY=256MB -sALLOW_MEMORY_GROWTH)
set_target_properties(matmul_speed PROPERTIES SUFFIX .cjs)

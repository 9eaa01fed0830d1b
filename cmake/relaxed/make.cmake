# Replaces the imports of a module by the instructions of relaxed.wat, in place:
#   cmake -DBINARYEN=folder of wasm-merge and wasm-opt -DMODULE=file.wasm -P make.cmake
set(features --enable-simd --enable-relaxed-simd --enable-bulk-memory --enable-threads --enable-sign-ext
  --enable-mutable-globals --enable-nontrapping-float-to-int)
find_program(NODE node REQUIRED)
function(run tool)
  execute_process(COMMAND ${NODE} ${BINARYEN}/${tool} ${ARGN} ${features} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
run(wasm-merge ${MODULE} main ${CMAKE_CURRENT_LIST_DIR}/relaxed.wat env -o ${MODULE}.merged --skip-export-conflicts)
run(wasm-opt ${MODULE}.merged --remove-unused-module-elements -O3 --inlining-optimizing --strip-debug --strip-producers
  -o ${MODULE})
file(REMOVE ${MODULE}.merged)

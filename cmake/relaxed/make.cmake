# Replaces the imports of a module by the instructions of relaxed.wat, in place:
#   cmake -DBINARYEN=folder of wasm-merge and wasm-opt -DMODULE=file.wasm -P make.cmake
set(features --enable-simd --enable-relaxed-simd --enable-bulk-memory --enable-threads --enable-sign-ext
  --enable-mutable-globals --enable-nontrapping-float-to-int)
find_program(NODE node REQUIRED)
function(run tool)
  execute_process(COMMAND ${NODE} ${BINARYEN}/${tool} ${ARGN} ${features} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
# Imports of one module become what another one, a text, exports.
function(merge functions from to)
  run(wasm-merge ${from} main ${CMAKE_CURRENT_LIST_DIR}/${functions}.wat env -o ${to} --skip-export-conflicts)
endfunction()
merge(relaxed ${MODULE} ${MODULE}.merged)
run(wasm-opt ${MODULE}.merged --remove-unused-module-elements -O3 --inlining-optimizing --strip-debug --strip-producers
  -o ${MODULE}.merged)
# Calls keep their order, so they go last, when nothing is optimised any more.
merge(in_order ${MODULE}.merged ${MODULE}.merged)
run(wasm-opt ${MODULE}.merged --remove-unused-module-elements --inlining --coalesce-locals --vacuum --merge-blocks
  -o ${MODULE}.merged)
# Blocks that the calls leave are found by reading the module again.
run(wasm-opt ${MODULE}.merged --vacuum -o ${MODULE})
file(REMOVE ${MODULE}.merged)

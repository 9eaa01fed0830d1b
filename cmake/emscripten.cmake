# The toolchain for WebAssembly: Debian's Emscripten (3.1.6, the one that is tested), or the emsdk whose folder is in
# EMSDK (untested). NODE_PATH is set by the presets: Debian's emcc looks there for its JavaScript optimiser.
if(DEFINED ENV{EMSDK})
  set(emscripten_root $ENV{EMSDK}/upstream/emscripten)
else()
  set(emscripten_root /usr/share/emscripten)
endif()
set(emscripten_toolchain ${emscripten_root}/cmake/Modules/Platform/Emscripten.cmake)
if(NOT EXISTS ${emscripten_toolchain})
  message(FATAL_ERROR "Emscripten is not at ${emscripten_root}. Debian: apt-get install emscripten. Elsewhere: install the emsdk and set EMSDK (its emsdk_env does that).")
endif()
include(${emscripten_toolchain})

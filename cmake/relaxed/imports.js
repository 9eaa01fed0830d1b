// Lets emcc link; cmake/relaxed/make.cmake puts the instructions in their place.
mergeInto(LibraryManager.library, {
  relaxed_dot: function () {
    abort('relaxed_dot was not replaced');
  },
  relaxed_swizzle: function () {
    abort('relaxed_swizzle was not replaced');
  },
  relaxed_dot_pairs: function () {
    abort('relaxed_dot_pairs was not replaced');
  },
  in_order: function () {
    abort('in_order was not replaced');
  },
});

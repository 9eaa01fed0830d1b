// Runs kernel_speed where it may block, and posts every line that it prints.
self.onmessage = async ({ data: { glue, args } }) => {
  const { default: create } = await import(glue);
  await create({
    arguments: args,
    print: (line) => self.postMessage({ line }),
    locateFile: (file) => new URL(file, glue).href,
    mainScriptUrlOrBlob: glue,
  });
  self.postMessage({ ended: true });
};

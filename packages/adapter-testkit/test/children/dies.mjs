// A process that ends before it has done anything.
export default () => {
  console.error("the driver was not found");
  process.exit(3);
};

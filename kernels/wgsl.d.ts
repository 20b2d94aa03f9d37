declare module '*.wgsl' {
  const text: string
  // biome-ignore lint/style/noDefaultExport: how Bun types a text import
  export default text
}

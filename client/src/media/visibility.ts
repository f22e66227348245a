/** What an element needs of a picture. */
export interface Picture {
  visible: boolean;
  /** In device pixels. */
  width: number;
  height: number;
}

/**
 * Tells how large an element is and whether it can be seen, now and at each change.
 *
 * @returns how to stop
 */
export function watchElement(element: Element, changed: (picture: Picture) => void): () => void {
  // Until the browser has looked it is taken for visible: a picture that is paused at first would come late.
  let picture: Picture = { visible: true, width: 0, height: 0 };
  const set = (change: Partial<Picture>) => {
    picture = { ...picture, ...change };
    changed(picture);
  };
  const resize = new ResizeObserver(([entry]) => {
    const { width = 0, height = 0 } = entry?.contentRect ?? {};
    set({
      width: Math.round(width * devicePixelRatio),
      height: Math.round(height * devicePixelRatio),
    });
  });
  const intersection = new IntersectionObserver((entries) => {
    const last = entries.at(-1);
    if (last) set({ visible: last.isIntersecting });
  });
  resize.observe(element);
  intersection.observe(element);
  return () => {
    resize.disconnect();
    intersection.disconnect();
  };
}

export const load = () => ({ answer: 6 * 7 });

/** The title of the page shown, for the tab. */
let title = $state('');

export const heading = {
  get title(): string {
    return title;
  },
  set title(next: string) {
    title = next;
  },
};

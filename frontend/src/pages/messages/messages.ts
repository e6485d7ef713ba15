/** How the list of messages is asked for. */
import type { Notification, Notifications } from '../../lib/notify-types';
import type { Pages } from '../../lib/resource.svelte';

/** They are asked for before the last one seen. How many there are in all is not known. */
export const messagePages: Pages<Notification, Notifications> = {
  after: 'before',
  read: ({ Notifications, More }) => ({
    Items: Notifications,
    Total: Notifications.length,
    Next: More ? String(Notifications.at(-1)?.Id ?? '') : '',
  }),
};

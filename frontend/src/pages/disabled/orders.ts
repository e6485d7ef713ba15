/** What an order says, in words. */
import { duration, interval } from '../../lib/time';
import type { Order, OrderState } from '../../lib/types';

/** What it does to its probe: `Disable for 2 h`, `Run every 5 min`, `Run now`. */
export function actionOf(order: Pick<Order, 'Action' | 'Parameters'>): string {
  const { For = 0, Seconds = 0 } = order.Parameters;
  switch (order.Action) {
    case 'disable':
      return For > 0 ? `Disable for ${duration(For)}` : 'Disable';
    case 'interval':
      return Seconds > 0 ? `Run every ${interval(Seconds)}` : 'Change the interval';
    case 'run':
      return 'Run now';
    default:
      return order.Action;
  }
}

export const STATES: Record<OrderState, string> = {
  waiting: 'Waiting',
  done: 'Done',
  refused: 'Refused',
  expired: 'Expired',
  cancelled: 'Cancelled',
};

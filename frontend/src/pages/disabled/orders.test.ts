// @vitest-environment node
import { describe, expect, it } from 'vitest';
import type { Order } from '../../lib/types';
import { actionOf } from './orders';

describe('actionOf', () => {
  it('says what will be done, and for how long', () => {
    expect(actionOf({ Action: 'disable', Parameters: { For: 7200 } })).toBe('Disable for 2 h');
    expect(actionOf({ Action: 'disable', Parameters: {} })).toBe('Disable');
    expect(actionOf({ Action: 'interval', Parameters: { Seconds: 300 } })).toBe('Run every 5 min');
    expect(actionOf({ Action: 'run', Parameters: {} })).toBe('Run now');
  });

  it('shows an order of a newer server by its name', () => {
    expect(actionOf({ Action: 'silence' as Order['Action'], Parameters: {} })).toBe('silence');
  });
});

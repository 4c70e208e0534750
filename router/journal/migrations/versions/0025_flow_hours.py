"""what flowed hour by hour, how much room the journal took, and on which side an alarm is

Revision: 0025
Follows: 0021
"""

import sqlalchemy as sa
from alembic import op


revision = '0025'
down_revision = '0024'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('flow_hour',
    sa.Column('series', sa.String(length=12), nullable=False),
    sa.Column('hour', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('counted', sa.BigInteger(), nullable=False),
    sa.Column('erased', sa.BigInteger(), server_default='0', nullable=False),
    sa.PrimaryKeyConstraint('series', 'hour', 'name', name=op.f('pk_flow_hour')),
    sqlite_with_rowid=False
    )
    op.create_table('flow_hour_counted',
    sa.Column('hour', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('hour', name=op.f('pk_flow_hour_counted'))
    )
    op.create_table('storage_hour',
    sa.Column('hour', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('tables', sa.BigInteger(), nullable=False),
    sa.Column('blobs', sa.BigInteger(), nullable=False),
    sa.Column('free', sa.BigInteger(), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('hour', name=op.f('pk_storage_hour'))
    )
    op.add_column('alarm', sa.Column('side', sa.String(length=12), server_default='', nullable=False))
    op.execute("UPDATE alarm SET side = 'source' WHERE kind IN ('silence', 'errors', 'drift')")
    op.execute("UPDATE alarm SET side = 'destination' WHERE kind = 'backlog'")
    source = "facts LIKE '%\"side\":\"source\"%'"
    op.execute(f"UPDATE alarm SET side = CASE WHEN {source} THEN 'source' ELSE 'destination' END WHERE kind = 'down'")
    op.drop_index('ux_alarm_open', table_name='alarm')
    op.drop_index('ix_alarm_cause', table_name='alarm')
    still = sa.text('closed_at IS NULL')
    op.create_index('ux_alarm_open', 'alarm', ['kind', 'side', 'subject'], unique=True, sqlite_where=still, postgresql_where=still)
    op.create_index('ix_alarm_subject', 'alarm', ['subject', 'id'])


def downgrade() -> None:
    op.drop_index('ix_alarm_subject', table_name='alarm')
    op.drop_index('ux_alarm_open', table_name='alarm')
    still = sa.text('closed_at IS NULL')
    op.create_index('ux_alarm_open', 'alarm', ['kind', 'subject'], unique=True, sqlite_where=still, postgresql_where=still)
    op.create_index('ix_alarm_cause', 'alarm', ['kind', 'subject', 'id'])
    op.drop_column('alarm', 'side')
    op.drop_table('storage_hour')
    op.drop_table('flow_hour_counted')
    op.drop_table('flow_hour')

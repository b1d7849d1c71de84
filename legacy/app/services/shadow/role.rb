# frozen_string_literal: true

module Shadow
  # Of PostgreSQL, by which shadows read. A session can be told that it only reads, and can tell itself otherwise: what
  # counts is what its role may.
  module Role
    # What it may do that it should not, and may not that it should; with the rights of every role that it can put on,
    # whether it inherits them or not. Who owns something needs no right to drop it. Native has the same: handlers/proofs.py.
    RIGHTS = <<~'SQL'
      with roles as (
             select oid, rolname, rolcreaterole or rolcreatedb or rolreplication as makes
               from pg_roles where pg_has_role(session_user, oid, 'MEMBER')),
           schemas as (
             select oid, nspname, nspowner, nspname = any (current_schemas(false)) as searched
               from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
           relations as (
             select pg_class.oid, pg_class.oid::regclass::text as name, relowner, relkind = 'S' as counts, searched
               from pg_class join schemas on schemas.oid = relnamespace where relkind in ('r', 'p', 'v', 'm', 'f', 'S')),
           found (what, which) as (
             select 'may change', name from relations, roles where case
                 when counts then has_sequence_privilege(roles.oid, relations.oid, 'USAGE, UPDATE')
                 else has_table_privilege(roles.oid, relations.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                   or has_any_column_privilege(roles.oid, relations.oid, 'INSERT, UPDATE, REFERENCES') end
              union
             select 'may make something in', nspname from schemas, roles
              where has_schema_privilege(roles.oid, schemas.oid, 'CREATE')
              union
             select 'may make something in', current_database() from roles
              where has_database_privilege(roles.oid, current_database(), 'CREATE')
              union
             select 'may make roles, databases or replicas as', rolname from roles where makes
              union
             select 'may do what is not for readers as', rolname from roles
              where rolname ~ '^pg_' and rolname !~ '^pg_(read_all_|stat_|monitor$|database_owner$)'
              union
             select 'owns', name from relations join roles on roles.oid = relowner
              union
             select 'owns', nspname from schemas join roles on roles.oid = nspowner
              union
             select 'owns', datname from pg_database join roles on roles.oid = datdba where datname = current_database()
              union
             select 'may not read', name from relations
              where searched and not counts and not has_table_privilege(relations.oid, 'SELECT'))
      select what || ' ' || string_agg(which, ', ' order by which) from found group by what order by what
    SQL

    # What a role owns that is there, or one that it can put on.
    OWNED = <<~'SQL'
      with roles as (
             select oid from pg_roles where pg_has_role((select oid from pg_roles where rolname = %<role>s), oid, 'MEMBER')),
           things (name, owner) as (
             select pg_class.oid::regclass::text, relowner from pg_class join pg_namespace on pg_namespace.oid = relnamespace
              where relkind in ('r', 'p', 'v', 'm', 'f', 'S') and nspname !~ '^pg_' and nspname <> 'information_schema'
              union
             select nspname, nspowner from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
              union
             select datname, datdba from pg_database where datname = current_database())
      select string_agg(name, ', ' order by name) from things join roles on roles.oid = owner
    SQL

    class << self
      # In the connection at hand, which is a shadow's; once in this process.
      def prove
        connection = ActiveRecord::Base.connection
        return true if @proved

        told = connection.select_values(RIGHTS)
        raise Refused, "the role of SHADOW_DATABASE_URL #{told.join(' and ')}" if told.any?

        @proved = true
      rescue ActiveRecord::ActiveRecordError, PG::Error => e
        raise Refused, "#{e.class}: #{e.message}"
      end

      # Makes it, if it is not there, and lets it read what there is and what the migrations of the same user will make.
      def grant
        connection = ActiveRecord::Base.connection
        address = ActiveRecord::DatabaseConfigurations::ConnectionUrlResolver.new(ENV.fetch("SHADOW_DATABASE_URL")).to_hash
        raise Refused, "SHADOW_DATABASE_URL names our own role" if own?(connection, address)

        owned = connection.select_value(format(OWNED, role: connection.quote(address[:username])))
        raise Refused, "the role of SHADOW_DATABASE_URL owns #{owned}: name one that owns nothing" if owned

        connection.transaction { statements(connection, address).each { |statement| connection.execute(statement) } }
      end

      private

      def own?(connection, address)
        [nil, connection.select_value("select current_user")].include?(address[:username])
      end

      def statements(connection, address)
        role = connection.quote_column_name(address[:username])
        made = connection.select_value("select 1 from pg_roles where rolname = #{connection.quote(address[:username])}")
        password = connection.quote(address[:password])
        [
          ("CREATE ROLE #{role} LOGIN PASSWORD #{password}" unless made),
          "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM #{role}",
          "REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM #{role}",
          "REVOKE ALL ON SCHEMA public FROM #{role}",
          "GRANT USAGE ON SCHEMA public TO #{role}",
          "GRANT SELECT ON ALL TABLES IN SCHEMA public TO #{role}",
          "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO #{role}"
        ].compact
      end
    end
  end
end
